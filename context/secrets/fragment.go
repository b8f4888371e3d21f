package secrets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// How `gitleaks dir` cuts files into fragments (gitleaks: sources/file.go). The size of its buffered reader matters,
// too: what that has read ahead becomes a short fragment of its own.
const (
	fragmentSize = 100_000 // bytes to read
	maxPeek      = 25_000  // bytes to read beyond that to reach a blank line
)

// A fullReader fills the buffer in every Read, so that fragments do not depend on how the source happens to split its
// reads. gitleaks reads regular files only, which do that by themselves.
type fullReader struct{ io.Reader }

func (r fullReader) Read(p []byte) (int, error) {
	n, err := io.ReadFull(r.Reader, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil // the next Read returns it again
	}
	return n, err
}

// fragments calls each for every fragment of a file, and stops at content that gitleaks takes for binary. buf must have
// the length fragmentSize, and room for maxPeek more.
func fragments(ctx context.Context, name string, r io.Reader, buf []byte, each func(*fragment) error) error {
	br := bufio.NewReader(fullReader{r})
	for newlines := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := br.Read(buf[:fragmentSize])
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", name, err)
		}
		// gitleaks checks every fragment up to the one with the first newline.
		if newlines == 0 && binaryMagic(buf[:n]) {
			return nil
		}
		data, err := extend(br, buf[:n])
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		f := &fragment{path: name, text: string(data), line: newlines + 1}
		newlines += strings.Count(f.text, "\n")
		if err := each(f); err != nil {
			return err
		}
	}
}

// extend appends to data until it ends in two newlines with only white space between them, or maxPeek bytes were added.
func extend(br *bufio.Reader, data []byte) ([]byte, error) {
	blank := 0
	for i := len(data) - 1; i >= 0 && isSpace(data[i]) && blank < 2; i-- {
		if data[i] == '\n' {
			blank++
		}
	}
	if blank >= 2 {
		return data, nil
	}
	// gitleaks starts counting again at the last byte of data, so that a newline there counts only once.
	blank = 0
	for start := len(data); ; {
		switch c := data[len(data)-1]; {
		case c == '\n':
			blank++
		case !isSpace(c):
			blank = 0
		}
		if blank >= 2 || len(data)-start >= maxPeek {
			return data, nil
		}
		c, err := br.ReadByte()
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		data = append(data, c)
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isArchive reports whether name has the extension of an archive or a compressed file, which are not searched. (gitleaks
// looks for these extensions anywhere in the name; see the package documentation.)
func isArchive(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".7z", ".br", ".bz2", ".gz", ".lz", ".lz4", ".mz", ".rar", ".s2", ".sz", ".tar", ".xz", ".zip", ".zst", ".zz":
		return true
	}
	return false
}
