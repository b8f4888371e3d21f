package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// Paths are the absolute paths of the files that stoker's processes share.
type Paths struct {
	Runtime string // folder of the socket, 0700; may be emptied at a reboot
	Socket  string
	State   string // folder of the other files, 0700
	Lock    string
	Store   string
	Log     string // output of a daemon in the background
}

// Locate returns the paths, following the XDG Base Directory Specification: the
// socket is below XDG_RUNTIME_DIR, the state below XDG_STATE_HOME or ~/.local/state.
// If XDG_RUNTIME_DIR is not a folder of this user, the socket is in a private folder
// for temporary files. Locate creates nothing.
func Locate(getenv func(string) string) (Paths, error) {
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the specification says to ignore relative paths
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE")
		}
		if !filepath.IsAbs(home) {
			return Paths{}, errors.New("locate the state folder: neither XDG_STATE_HOME nor HOME names a folder: set one")
		}
		state = filepath.Join(home, ".local", "state")
	}
	p := Paths{State: filepath.Join(state, "stoker")}
	p.Lock = filepath.Join(p.State, "daemon.lock")
	p.Store = filepath.Join(p.State, "stoker.db")
	p.Log = filepath.Join(p.State, "daemon.log")
	for _, dir := range runtimeFolders(getenv) {
		p.Runtime, p.Socket = dir, filepath.Join(dir, "stoker.sock")
		if len(p.Socket) <= maxSocketPath() {
			return p, nil
		}
	}
	return Paths{}, fmt.Errorf("place the socket: %s has %d bytes and the kernel takes %d: set XDG_RUNTIME_DIR to a shorter folder",
		p.Socket, len(p.Socket), maxSocketPath())
}

// runtimeFolders returns the folders that may be used for the socket, the best first.
func runtimeFolders(getenv func(string) string) []string {
	var dirs []string
	// After `sudo -E` the variable names the folder of another user.
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && ownFolder(dir) {
		dirs = append(dirs, filepath.Join(dir, "stoker"))
	}
	name := "stoker-" + strconv.Itoa(os.Getuid())
	if dir := getenv("TMPDIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, name))
	}
	if runtime.GOOS == "windows" {
		return append(dirs, filepath.Join(os.TempDir(), name))
	}
	return append(dirs, filepath.Join("/tmp", name))
}

// maxSocketPath returns the longest path of a socket in bytes, which is the size of
// sun_path without the NUL at its end.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103 // darwin and the BSDs
}

// Prepare creates the two folders if needed, and returns an error if they are not
// private: another user may have created one in /tmp.
func (p Paths) Prepare() error {
	for _, dir := range []string{p.State, p.Runtime} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create stoker's folder: %w", err)
		}
		if err := checkPrivate(dir); err != nil {
			return err
		}
	}
	return nil
}

// checkPrivate returns an error if another user could access dir, with what to do
// about it.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir) // not Stat: a link may lead elsewhere later
	if err != nil {
		return fmt.Errorf("check stoker's folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("stoker's folder %s is a %s: remove it", dir, kind(info.Mode()))
	}
	if uid, ok := owner(info); ok && uid != os.Getuid() {
		return fmt.Errorf("stoker's folder %s belongs to uid %d, not to you: set XDG_RUNTIME_DIR and XDG_STATE_HOME to folders of your own", dir, uid)
	}
	if perm := info.Mode().Perm(); runtime.GOOS != "windows" && perm&0o077 != 0 {
		return fmt.Errorf("stoker's folder %s is open to others (mode %o): chmod 700 %s", dir, perm, dir)
	}
	return nil
}

// ownFolder reports whether dir is a folder that belongs to this user.
func ownFolder(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	uid, ok := owner(info)
	return !ok || uid == os.Getuid()
}

// kind says what a file is that is not a directory.
func kind(m fs.FileMode) string {
	if m&fs.ModeSymlink != 0 {
		return "symbolic link"
	}
	return "file"
}
