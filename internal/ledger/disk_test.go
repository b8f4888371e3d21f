package ledger

import "iter"

// A Disk keeps a ledger as the store does.
type Disk map[string][]byte

func (d Disk) Put(anew bool, changes iter.Seq2[string, []byte]) error {
	if anew {
		clear(d)
	}
	for key, value := range changes {
		if d[key] = value; value == nil {
			delete(d, key)
		}
	}
	return nil
}
