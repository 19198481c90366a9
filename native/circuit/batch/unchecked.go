package batch

// AssignUnchecked is Assign without the comparison of roots, so that tests can put a cheating witness before the solver itself.
func AssignUnchecked(w *Witness) (*Circuit, error) {
	p, err := w.sizes()
	if err != nil {
		return nil, err
	}
	if err := shape(p, w); err != nil {
		return nil, err
	}
	return fill(p, w), nil
}
