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

// How `gitleaks dir` cuts files (gitleaks: sources/file.go): reads of this size, then up to this much more until a
// blank line. Its buffered reader is part of the rule: what it read ahead comes as a short fragment of its own.
const (
	fragmentSize = 100_000
	maxPeek      = 25_000
)

// fullReader fills every read from the reader below, so that fragments do not depend on how a source cuts its
// reads. A regular file, gitleaks' only source, fills them anyway.
type fullReader struct{ io.Reader }

func (r fullReader) Read(p []byte) (int, error) {
	n, err := io.ReadFull(r.Reader, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil // the next read says so again
	}
	return n, err
}

// fragments calls each for every fragment of the file in turn, and stops at content that gitleaks holds to be
// binary. The buffer has room for one fragment.
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
		// As long as no newline has come, each fragment may yet give the file away.
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

// extend reads on until data ends in two newlines with nothing but white space between them, or long enough.
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
	// gitleaks counts anew from the last byte on, so one newline at the end of the read counts once.
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

// isArchive reports whether the name's extension is one of an archive or a compressed file, which gitleaks does
// not look into by default. (It asks whether the name contains one anywhere; see the package documentation.)
func isArchive(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".7z", ".br", ".bz2", ".gz", ".lz", ".lz4", ".mz", ".rar", ".s2", ".sz", ".tar", ".xz", ".zip", ".zst", ".zz":
		return true
	}
	return false
}
