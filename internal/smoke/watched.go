package smoke

import (
	"bytes"
	"io"
	"sync"
)

// watched hands on what the program writes, and looks for a text in it.
type watched struct {
	to   io.Writer
	text string
	seen chan struct{} // closed once the text was written

	mu   sync.Mutex // guards what follows, and to
	done bool
	last []byte // the end of what was written, which may be the beginning of the text
}

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text != "" && !w.done {
		all := append(w.last, p...)
		if bytes.Contains(all, []byte(w.text)) {
			w.done = true
			close(w.seen)
		}
		w.last = bytes.Clone(all[max(0, len(all)-len(w.text)):])
	}
	return w.to.Write(p)
}

func (w *watched) found() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}
