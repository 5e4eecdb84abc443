package tlstransport

// FloodMax is for tests.
const FloodMax = floodMax
