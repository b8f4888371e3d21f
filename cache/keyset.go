package cache

// Keys returns, for each node of g, all keys that it can have as far as they are
// known, however a build of g would find them.
func (m *Mirror) Keys(g Graph) [][]KeyID {
	if m == nil {
		m = m.clone()
	}
	keys := make([][]KeyID, len(g.Nodes))
	for i, s := range m.find(g) {
		keys[i] = union(s.sure, s.might, s.late, s.shown, s.result, s.oneOf)
	}
	return keys
}
