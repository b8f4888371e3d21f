package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// An Object is an object of the object store.
type Object struct {
	OID  string // full object id
	Type string // blob, tree, commit or tag
	Data []byte // as stored: no filter, no text conversion
}

// A Batch reads objects through a single `git cat-file --batch`. It must be closed. It is
// not safe for concurrent use.
type Batch struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	cancel context.CancelFunc
}

// Batch starts a reader of objects. It ends with ctx, or when it is closed.
func (r *Repo) Batch(ctx context.Context) (*Batch, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := r.command(ctx, []string{"cat-file", "--batch"})
	in, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, r.failure(ctx, "cat-file", "", err)
	}
	return &Batch{cmd: cmd, in: in, out: bufio.NewReader(out), cancel: cancel}, nil
}

// Read returns the object that name refers to: an object id, "HEAD:path", or ":path" for
// the index. The error wraps [ErrMissing] if there is none.
func (b *Batch) Read(name string) (Object, error) {
	if strings.ContainsAny(name, "\n\x00") {
		// Names are separated by newlines (-z is too new to rely on: git 2.38).
		return Object{}, fmt.Errorf("read %q from git: a name with a line break: %w", name, ErrMissing)
	}
	if _, err := io.WriteString(b.in, name+"\n"); err != nil {
		return Object{}, fmt.Errorf("read %s from git: %w", name, err)
	}
	header, err := b.out.ReadString('\n')
	if err != nil {
		return Object{}, fmt.Errorf("read %s from git: %w", name, noEOF(err))
	}
	header = strings.TrimSuffix(header, "\n")
	if strings.HasSuffix(header, " missing") || strings.HasSuffix(header, " ambiguous") {
		return Object{}, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	fields := strings.Fields(header)
	if len(fields) != 3 {
		return Object{}, fmt.Errorf("read %s from git: unexpected answer %q", name, header)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return Object{}, fmt.Errorf("read %s from git: unexpected size %q", name, fields[2])
	}
	data := make([]byte, size+1) // a line break follows the content
	if _, err := io.ReadFull(b.out, data); err != nil {
		return Object{}, fmt.Errorf("read %s from git: %w", name, noEOF(err))
	}
	return Object{OID: fields[0], Type: fields[1], Data: data[:size]}, nil
}

// Close ends the reader.
func (b *Batch) Close() error {
	defer b.cancel()
	err := b.in.Close()
	if werr := b.cmd.Wait(); err == nil {
		err = werr
	}
	if err != nil {
		return fmt.Errorf("end git cat-file: %w", err)
	}
	return nil
}

// noEOF replaces io.EOF, at which an answer broke off, by io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
