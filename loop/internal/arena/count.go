package arena

// Count returns the number of Chunks.
func (a *Arena) Count() int { return a.count }
