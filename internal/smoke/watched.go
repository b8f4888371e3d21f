package smoke

import (
	"bytes"
	"io"
	"sync"
)

// watched is a writer that passes on what the program writes, and looks for a text in it. It is safe for concurrent use.
type watched struct {
	to   io.Writer
	text string        // "" for none
	seen chan struct{} // closed once the text was written

	mu   sync.Mutex // guards done and last, and calls of to
	done bool       // the text was written
	last []byte     // the end of what was written, which may be a part of the text
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

// found reports whether the text was written.
func (w *watched) found() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}
