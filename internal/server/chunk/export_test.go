package chunk

// NewTotals returns totals that gather so few keys before they are sorted in between the others.
func NewTotals(spill int) *Totals { return &Totals{spill: spill} }
