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

// The modes of files in git.
const (
	ModeFile       = 0o100644
	ModeExecutable = 0o100755
	ModeLink       = 0o120000
	ModeSubmodule  = 0o160000
)

// A File is an entry of a commit that is not a directory.
type File struct {
	Path string // relative to the root, slash-separated
	Mode uint32 // ModeFile and so on
	OID  string // object id
	Size int64  // bytes of the object; 0 for a submodule, -1 if a partial clone lacks it
}

// An IndexFile is an entry of the index: a file that git tracks.
type IndexFile struct {
	Path string // relative to the root, slash-separated
	Mode uint32 // ModeFile and so on
	OID  string // object id

	// What git recorded about the file when it last looked at it.
	size int64     // the low 32 bits
	time time.Time // modification time
	racy bool      // time is not before the index was written, so a later change may have left it as it is
}

// Commit returns the id of the commit that name refers to. The error wraps [ErrMissing]
// if there is none.
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

// Files returns the files of a commit, in git's order. The error wraps [ErrMissing] if
// there is no such commit, which may be so for the commit of a submodule.
func (r *Repo) Files(ctx context.Context, commit string) ([]File, error) {
	if _, err := r.Commit(ctx, commit); err != nil {
		return nil, err
	}
	files, err := r.list(ctx, commit, "-l")
	var ce *CommandError
	if errors.As(err, &ce) {
		// In a partial clone git fails on the first object that it lacks.
		files, err = r.listPartial(ctx, commit)
	}
	if err != nil {
		return nil, fmt.Errorf("list commit %.12s: %w", commit, err)
	}
	return files, nil
}

// list runs ls-tree. Sizes are -1 unless -l is among the flags.
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
				f.Size = -1 // no size was asked for, or git printed BAD
			}
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// listPartial is list for a commit of which some objects are missing. It asks for the
// sizes of the others separately.
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
	var here strings.Builder // ids of the objects that exist, one per line
	var of []int             // their indexes in files
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

// Index returns the files that git tracks in the work tree. An unmerged file is listed
// once.
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

// Tracked lists the files that git tracks, with nothing of what it recorded about them, in one
// call of git.
func (r *Repo) Tracked(ctx context.Context) ([]IndexFile, error) {
	var files []IndexFile
	err := r.entries(ctx, []string{"ls-files", "--stage", "-z"}, func(in *bufio.Reader) error {
		f, err := readStaged(in)
		if n := len(files); err == nil && (n == 0 || files[n-1].Path != f.Path) {
			files = append(files, f)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what git tracks: %w", err)
	}
	return files, nil
}

// readIndexEntry reads "<mode> <oid> <stage>\t<path>\0", and the five lines with the
// stat that --debug appends.
func readIndexEntry(in *bufio.Reader) (IndexFile, error) {
	f, err := readStaged(in)
	if err != nil {
		return IndexFile{}, err
	}
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

// readStaged reads "<mode> <oid> <stage>\t<path>\0".
func readStaged(in *bufio.Reader) (IndexFile, error) {
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
	return IndexFile{Path: path, Mode: uint32(mode), OID: fields[1]}, nil
}

// indexTime returns when the index was written, or the zero time if that is unknown.
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

// Unchanged reports whether the file on disk is certain to have the content that is in
// the index, going by its metadata alone. If it returns false, it may or may not have.
func (f IndexFile) Unchanged(disk os.FileInfo) bool {
	const low32 = 1<<32 - 1
	at := disk.ModTime()
	if f.time.Nanosecond() == 0 {
		at = at.Truncate(time.Second) // git may be built without sub-second times
	}
	return !f.racy && disk.Mode().IsRegular() && f.Mode&0o170000 == ModeFile&0o170000 &&
		disk.Size()&low32 == f.size && at.Equal(f.time)
}

// TrustsModes reports whether the executable bits in the work tree can be relied on
// (core.fileMode), which is not so on some file systems.
func (r *Repo) TrustsModes(ctx context.Context) bool {
	out, err := r.Run(ctx, "config", "--type=bool", "--get", "core.fileMode")
	return err != nil || string(bytes.TrimSpace(out)) != "false"
}

// entries runs a command, and calls read for each entry of its output until read fails
// or returns io.EOF at the end.
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
		_, _ = io.Copy(io.Discard, out) // makes Close wait for the command, instead of killing it
	}
	if cerr := out.Close(); cerr != nil {
		return cerr // git's own message says more than a read error
	}
	return err
}
