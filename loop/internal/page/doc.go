// Package page is the half of a flow page that a loop writes: a Page with a Slot for
// each transport. Package flowpage says what a page is, and reads it.
package page
