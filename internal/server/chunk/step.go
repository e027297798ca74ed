package chunk

// Step returns the step of a line, NoStep for none; ok is false where the line is no JSON object.
func Step(line []byte) (step int64, ok bool) {
	s := scanner{line: line, wide: true, skim: true, step: NoStep}
	if s.document() != nil {
		return NoStep, false
	}
	return s.step, true
}
