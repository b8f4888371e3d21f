package suggest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// Why a change is refused. Nothing has been written then.
var (
	// ErrChanged: the file is not what the suggestion was made from.
	ErrChanged = errors.New("it changed since it was read: run suggest again")
	// ErrDirty: the file has changes that are not committed.
	ErrDirty = errors.New("it has uncommitted changes: commit them, or use --force")
	// ErrOutside: the file is a link that leads out of the repository.
	ErrOutside = errors.New("it leads out of the repository")
	// ErrTwice: two changes would make two texts of one file, and cannot be made upon
	// each other.
	ErrTwice = errors.New("two suggestions change it: apply one, and run suggest again")
	// ErrEdited: the file is no longer what was applied.
	ErrEdited = errors.New("it was edited since the change was applied, so nothing is taken back: undo that edit first, or do both by hand")
	// ErrNothingToUndo: nothing was applied, or it was undone.
	ErrNothingToUndo = errors.New("there is nothing to undo")
)

// An Applier writes suggestions into a repository and takes them back.
type Applier struct {
	Root string // of the repository, absolute
	// State is a private folder for what Undo needs; it is made if absent.
	State string
	// Dirty reports whether a file, relative to Root, has uncommitted changes;
	// nil where there is no git.
	Dirty func(ctx context.Context, path string) (bool, error)
	// Force writes over uncommitted changes.
	Force bool
}

// A target is a file about to be written.
type target struct {
	path   string // as in the change
	real   string // where it lies, links resolved
	mode   os.FileMode
	change Change
}

// Check reports what Apply would refuse, without writing anything.
func (a Applier) Check(ctx context.Context, list []Change) error {
	_, err := a.targets(ctx, list)
	return err
}

// targets checks the changes, and merges those of one file.
func (a Applier) targets(ctx context.Context, list []Change) ([]target, error) {
	var targets []target
	for _, c := range list {
		t, err := a.check(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("change %s: %w", c.Path, err)
		}
		i := slices.IndexFunc(targets, func(other target) bool { return other.real == t.real })
		if i < 0 {
			targets = append(targets, t)
			continue
		}
		both, ok := targets[i].change.with(c)
		if !ok {
			return nil, fmt.Errorf("change %s: %w", c.Path, ErrTwice)
		}
		targets[i].change = both
	}
	return targets, nil
}

// Apply writes the changes of a suggestion: all of them or none. They are checked, and all
// new texts are written to disk, before the first file is replaced. Each is replaced by a
// rename, with its mode and owner kept, and its old text is kept for Undo. Concurrent calls
// of Apply and Undo, also in other processes, wait for each other.
func (a Applier) Apply(ctx context.Context, list []Change) error {
	if len(list) == 0 {
		return nil
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	targets, err := a.targets(ctx, list)
	if err != nil {
		return err
	}
	var ready []*renameio.PendingFile
	defer func() {
		for _, f := range ready {
			_ = f.Cleanup() // nothing is left to lose
		}
	}()
	for _, t := range targets {
		f, err := t.prepare(t.change.New)
		if err != nil {
			return fmt.Errorf("change %s: %w", t.path, err)
		}
		ready = append(ready, f)
	}
	if err := a.remember(targets); err != nil {
		return err
	}
	for i, t := range targets {
		if err := ready[i].CloseAtomicallyReplace(); err != nil {
			return errors.Join(fmt.Errorf("change %s: %w", t.path, err), restore(targets[:i]))
		}
	}
	return nil
}

// restore undoes the changes that were written before an error.
func restore(done []target) error {
	var errs []error
	for _, t := range done {
		var err error
		if t.change.Old == nil {
			err = os.Remove(t.real)
		} else {
			err = t.write(t.change.Old)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("restore %s: %w", t.path, err))
		}
	}
	return errors.Join(errs...)
}

// lockRetry is the interval at which a lock is tried that another process holds: for no longer
// than it takes to write some files.
const lockRetry = 50 * time.Millisecond

// lock keeps other processes from applying and undoing.
func (a Applier) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(a.State, 0o700); err != nil {
		return nil, fmt.Errorf("keep the old text for --undo: %w", err)
	}
	l := flock.New(filepath.Join(a.State, "apply.lock"), flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("wait for another apply: %w", err)
	}
	return func() { _ = l.Unlock() }, nil
}

// check returns the target of a change, or why the change is refused.
func (a Applier) check(ctx context.Context, c Change) (target, error) {
	t, err := a.locate(c.Path)
	if err != nil {
		return t, err
	}
	t.change = c
	now, err := os.ReadFile(t.real)
	switch {
	case errors.Is(err, os.ErrNotExist) && c.Old == nil:
		return t, nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return t, err
	case err != nil, c.Old == nil, !bytes.Equal(now, c.Old):
		return t, ErrChanged
	}
	if a.Dirty == nil || a.Force {
		return t, nil
	}
	// git tells of changes to the file that a link leads to, not to the link.
	rel, err := filepath.Rel(a.realRoot(), t.real)
	if err != nil {
		return t, err
	}
	dirty, err := a.Dirty(ctx, filepath.ToSlash(rel))
	if err == nil && dirty {
		err = ErrDirty
	}
	return t, err
}

// locate resolves a path of the repository to the file that is to be written.
func (a Applier) locate(name string) (target, error) {
	t := target{path: name, mode: 0o644}
	full := filepath.Join(a.Root, filepath.FromSlash(name))
	real, err := filepath.EvalSymlinks(full)
	if errors.Is(err, os.ErrNotExist) {
		// A new file; a link that leads nowhere is none.
		if _, lerr := os.Lstat(full); lerr == nil {
			return t, ErrOutside
		}
		var dir string
		if dir, err = filepath.EvalSymlinks(filepath.Dir(full)); err == nil {
			real = filepath.Join(dir, filepath.Base(full))
		}
	}
	if err != nil {
		return t, err
	}
	rel, err := filepath.Rel(a.realRoot(), real)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return t, ErrOutside
	}
	t.real = real
	if info, err := os.Stat(real); err == nil {
		if !info.Mode().IsRegular() {
			return t, errors.New("it is not a regular file")
		}
		t.mode = info.Mode().Perm()
	}
	return t, nil
}

// realRoot returns Root with symbolic links resolved.
func (a Applier) realRoot() string {
	if real, err := filepath.EvalSymlinks(a.Root); err == nil {
		return real
	}
	return a.Root
}

// write replaces the file in one rename.
func (t target) write(text []byte) error {
	f, err := t.prepare(text)
	if err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// prepare writes the text to a new file beside the target, since a rename works only within
// one file system. If it fails it leaves no file behind.
func (t target) prepare(text []byte) (*renameio.PendingFile, error) {
	f, err := renameio.NewPendingFile(t.real, renameio.WithTempDir(filepath.Dir(t.real)), renameio.WithStaticPermissions(t.mode))
	if err != nil {
		return nil, err
	}
	if err = keepOwner(f.File, t.real); err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync() // fails if the disk or a quota is full
	}
	if err != nil {
		_ = f.Cleanup() // nothing is left to lose
		return nil, err
	}
	return f, nil
}

// An undo is what Undo needs, as kept in the state folder.
type undo struct {
	Files []undoFile `json:"files"`
}

type undoFile struct {
	Path  string `json:"path"`
	Made  bool   `json:"made"`  // the file was not there before
	Text  []byte `json:"text"`  // what it held
	After string `json:"after"` // SHA-256 of what was written
}

// record returns the path of the file that keeps the undo of this repository.
func (a Applier) record() string {
	sum := sha256.Sum256([]byte(a.realRoot()))
	return filepath.Join(a.State, "undo-"+hex.EncodeToString(sum[:8])+".json")
}

// remember writes what Undo needs to take the changes of the targets back.
func (a Applier) remember(targets []target) error {
	var u undo
	for _, t := range targets {
		c := t.change
		u.Files = append(u.Files, undoFile{Path: c.Path, Made: c.Old == nil, Text: c.Old, After: digest(c.New)})
	}
	text, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("keep the old text for --undo: %w", err)
	}
	if err := renameio.WriteFile(a.record(), text, 0o600, renameio.WithTempDir(a.State)); err != nil {
		return fmt.Errorf("keep the old text for --undo: %w", err)
	}
	return nil
}

// Undo takes back the last Apply in the repository and returns the files that
// it restored. A file that was edited since is [ErrEdited], and none is
// touched then.
func (a Applier) Undo(ctx context.Context) ([]string, error) {
	unlock, err := a.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	text, err := os.ReadFile(a.record())
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNothingToUndo
	}
	var u undo
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	if err != nil {
		return nil, fmt.Errorf("read what to undo: %w", err)
	}
	var targets []target
	for _, f := range u.Files {
		t, err := a.locate(f.Path)
		if err != nil {
			return nil, fmt.Errorf("restore %s: %w", f.Path, err)
		}
		now, err := os.ReadFile(t.real)
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("restore %s: %w", f.Path, err)
		case digest(now) != f.After && !f.restored(now, err):
			return nil, fmt.Errorf("restore %s: %w", f.Path, ErrEdited)
		}
		targets = append(targets, t)
	}
	var names []string
	for i, f := range u.Files {
		if f.Made {
			err = os.Remove(targets[i].real)
		} else {
			err = targets[i].write(f.Text)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return names, fmt.Errorf("restore %s: %w", f.Path, err)
		}
		names = append(names, f.Path)
	}
	return names, os.Remove(a.record())
}

// restored reports whether a file, of which reading gave now and err, is as it was before
// Apply: an Apply or Undo may have been interrupted before it got there.
func (f undoFile) restored(now []byte, err error) bool {
	if f.Made {
		return errors.Is(err, os.ErrNotExist)
	}
	return err == nil && bytes.Equal(now, f.Text)
}

// digest returns the SHA-256 of a text in hexadecimal.
func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
