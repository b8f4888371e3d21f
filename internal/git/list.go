package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The modes of what git stores.
const (
	ModeFile       = 0o100644
	ModeExecutable = 0o100755
	ModeLink       = 0o120000
	ModeSubmodule  = 0o160000
)

// A File is an entry of a commit that is not a directory.
type File struct {
	Path string // relative to the root, slash-separated
	Mode uint32
	OID  string
	// Size is what git stores of it; 0 for a submodule, -1 where a partial clone
	// lacks the object.
	Size int64
}

// An IndexFile is an entry of the index: a file that git tracks.
type IndexFile struct {
	Path string
	Mode uint32
	OID  string
	size int64 // the low 32 bits, when git last looked
	time time.Time
	// racy says that the file may have changed within the tick of the clock in
	// which the index was written.
	racy bool
}

// Commit returns the id of the commit that name stands for. [ErrMissing] if
// there is none.
func (r *Repo) Commit(ctx context.Context, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "-") {
		return "", fmt.Errorf("%q: %w", name, ErrMissing)
	}
	out, err := r.Run(ctx, "rev-parse", "--verify", "--quiet", name+"^{commit}")
	var ce *CommandError
	if errors.As(err, &ce) {
		return "", fmt.Errorf("%s: %w", name, ErrMissing)
	}
	return strings.TrimSpace(string(out)), err
}

// Files returns what a commit holds, in git's order. The commit of a submodule
// may be absent from its repository: [ErrMissing].
func (r *Repo) Files(ctx context.Context, commit string) ([]File, error) {
	if _, err := r.Commit(ctx, commit); err != nil {
		return nil, err
	}
	files, err := r.list(ctx, commit, "-l")
	var ce *CommandError
	if errors.As(err, &ce) {
		// In a partial clone git gives up on the first object that it lacks.
		files, err = r.listPartial(ctx, commit)
	}
	if err != nil {
		return nil, fmt.Errorf("list commit %.12s: %w", commit, err)
	}
	return files, nil
}

// list runs ls-tree; without -l among flags sizes are -1.
func (r *Repo) list(ctx context.Context, commit string, flags ...string) ([]File, error) {
	var files []File
	args := append(append([]string{"ls-tree", "-r", "-z", "--full-tree"}, flags...), commit)
	err := r.entries(ctx, args, func(in *bufio.Reader) error {
		entry, err := in.ReadString(0)
		if err != nil {
			return err
		}
		meta, path, ok := strings.Cut(strings.TrimSuffix(entry, "\x00"), "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) < 3 {
			return fmt.Errorf("unexpected entry %.120q", entry)
		}
		mode, err := strconv.ParseUint(fields[0], 8, 32)
		if err != nil {
			return fmt.Errorf("unexpected mode %.20q", fields[0])
		}
		f := File{Path: path, Mode: uint32(mode), OID: fields[2]}
		if f.Mode != ModeSubmodule {
			if f.Size, err = strconv.ParseInt(fields[len(fields)-1], 10, 64); err != nil || len(fields) < 4 {
				f.Size = -1 // git says BAD
			}
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// listPartial lists a commit of which objects are missing, and asks for the sizes
// of the others.
func (r *Repo) listPartial(ctx context.Context, commit string) ([]File, error) {
	files, err := r.list(ctx, commit)
	if err != nil {
		return nil, err
	}
	out, err := r.Run(ctx, "rev-list", "--objects", "--missing=print", "--no-object-names", commit+"^{tree}")
	if err != nil {
		return nil, err
	}
	lacking := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "?"); ok {
			lacking[id] = true
		}
	}
	var here strings.Builder
	var of []int
	for i, f := range files {
		if f.Mode != ModeSubmodule && !lacking[f.OID] {
			here.WriteString(f.OID + "\n")
			of = append(of, i)
		}
	}
	cmd := r.command(ctx, []string{"cat-file", "--batch-check=%(objectsize)"})
	cmd.Stdin = strings.NewReader(here.String())
	if out, err = cmd.Output(); err != nil {
		return nil, r.failure(ctx, "cat-file", "", err)
	}
	for i, text := range strings.Fields(string(out)) {
		if size, err := strconv.ParseInt(text, 10, 64); err == nil && i < len(of) {
			files[of[i]].Size = size
		}
	}
	return files, nil
}

// Index returns what git tracks in the work tree, unmerged entries once.
func (r *Repo) Index(ctx context.Context) ([]IndexFile, error) {
	written := r.indexTime(ctx)
	var files []IndexFile
	err := r.entries(ctx, []string{"ls-files", "--stage", "--debug", "-z"}, func(in *bufio.Reader) error {
		f, err := readIndexEntry(in)
		if err != nil {
			return err
		}
		f.racy = !f.time.Before(written)
		if n := len(files); n == 0 || files[n-1].Path != f.Path {
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list what git tracks: %w", err)
	}
	return files, nil
}

// readIndexEntry reads "<mode> <oid> <stage>\t<path>\0" and the five lines about
// its stat that --debug appends.
func readIndexEntry(in *bufio.Reader) (IndexFile, error) {
	entry, err := in.ReadString(0)
	if err != nil {
		return IndexFile{}, err
	}
	meta, path, ok := strings.Cut(strings.TrimSuffix(entry, "\x00"), "\t")
	fields := strings.Fields(meta)
	if !ok || len(fields) != 3 {
		return IndexFile{}, fmt.Errorf("unexpected entry %.120q", entry)
	}
	mode, err := strconv.ParseUint(fields[0], 8, 32)
	if err != nil {
		return IndexFile{}, fmt.Errorf("unexpected mode %.20q", fields[0])
	}
	f := IndexFile{Path: path, Mode: uint32(mode), OID: fields[1]}
	for range 5 {
		line, err := in.ReadString('\n')
		if err != nil {
			return IndexFile{}, noEOF(err)
		}
		var seconds, nanos int64
		if _, err := fmt.Sscanf(line, "  mtime: %d:%d", &seconds, &nanos); err == nil {
			f.time = time.Unix(seconds, nanos)
		}
		_, _ = fmt.Sscanf(line, "  size: %d", &f.size)
	}
	return f, nil
}

// indexTime is when the index was written: what changed since may have the
// time that it had before.
func (r *Repo) indexTime(ctx context.Context) time.Time {
	out, err := r.Run(ctx, "rev-parse", "--git-path", "index")
	if err != nil {
		return time.Time{}
	}
	name := strings.TrimSuffix(string(out), "\n")
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.root, name)
	}
	fi, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

// Unchanged reports whether the file on disk is known to be the one in the
// index, by its stat and without a look at its content. False says nothing.
func (f IndexFile) Unchanged(disk os.FileInfo) bool {
	const low32 = 1<<32 - 1 // what of a size git notes
	at := disk.ModTime()
	if f.time.Nanosecond() == 0 {
		at = at.Truncate(time.Second) // git may be built without fractions
	}
	return !f.racy && disk.Mode().IsRegular() && f.Mode&0o170000 == ModeFile&0o170000 &&
		disk.Size()&low32 == f.size && at.Equal(f.time)
}

// TrustsModes reports whether the executable bits of the work tree mean
// something (core.fileMode): on some file systems they do not.
func (r *Repo) TrustsModes(ctx context.Context) bool {
	out, err := r.Run(ctx, "config", "--type=bool", "--get", "core.fileMode")
	return err != nil || string(bytes.TrimSpace(out)) != "false"
}

// entries runs a command and calls read until its output ends.
func (r *Repo) entries(ctx context.Context, args []string, read func(*bufio.Reader) error) error {
	out, err := r.Stream(ctx, args...)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(out, 64<<10)
	for err == nil {
		err = read(in)
	}
	if errors.Is(err, io.EOF) {
		err = nil
		_, _ = io.Copy(io.Discard, out) // its end tells that the command ended by itself
	}
	if cerr := out.Close(); cerr != nil {
		return cerr // its own words explain more
	}
	return err
}
