package effects

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// fileOf returns the name that a download of an address gives its file; "$" if that depends
// on a variable.
func fileOf(address string) string {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(strings.ReplaceAll(address, Quote("?"), "?"), "?")
	_, file, ok := strings.Cut(address, "://")
	if !ok {
		file = address
	}
	if i := strings.LastIndexByte(file, '/'); i >= 0 && i < len(file)-1 {
		return file[i+1:]
	}
	if strings.Contains(file, "$") && !strings.HasSuffix(file, "/") {
		return "$"
	}
	return "index.html"
}

// edits reports whether a script for sed is known only to change, delete or print lines: it
// is one such command, with at most one address.
func edits(script string) bool {
	rest := strings.TrimLeft(script, "0123456789$")
	if strings.HasPrefix(rest, "/") {
		_, after, ok := strings.Cut(rest[1:], "/")
		if !ok {
			return false
		}
		rest = after
	}
	switch {
	case rest == "d" || rest == "p":
		return true
	case len(rest) < 2 || rest[0] != 's':
		return false
	}
	parts, part := []string{}, ""
	for i := 2; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest):
			part += rest[i : i+2]
			i++
		case rest[i] == rest[1]:
			parts, part = append(parts, part), ""
		default:
			part += rest[i : i+1]
		}
	}
	return len(parts) == 2 && strings.Trim(part, "gIip0123456789") == ""
}

// besides returns the files that the word after a flag that is not in the form may name, as its value.
// There are none where the form takes words for files anyway.
func (f *form) besides(flag, w string) (files []string) {
	if !slices.Contains([]string{"none", "names", "found", "packages", "versions", "text", "look", "fetch", "clone"}, f.Words) {
		return nil
	}
	if isPath(w) || w != "" && w[0] != '-' && !strings.Contains(w, "://") && (path.Ext(w) != "" || strings.Contains(w, "/") || ofFiles.MatchString(flag)) {
		files = append(files, w)
	}
	return append(files, pathsIn(w)...)
}

// ofFiles matches flags whose values are files or folders, by what they are called.
var ofFiles = regexp.MustCompile(`(?i)^--.*(file|config|shell|key|cert|dir|log|report|build|python|path|root|prefix|target)$`)

// words adds the files that names, the words other than flags, stand for. It reports whether
// they fit the form.
func (f *form) words(names, flags []string, e *Effect) bool {
	if len(names) < f.Skip {
		return false
	}
	names = names[f.Skip:]
	switch f.Words {
	case "none":
		return len(names) == 0
	case "names":
		return len(names) > 0 && !slices.ContainsFunc(names, isPath)
	case "found":
		e.Reads = append(e.Reads, names...)
		return len(names) > 0 && !slices.ContainsFunc(names, isPath)
	case "packages":
		return len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return isPath(n) || strings.Contains(n, "/") })
	case "versions":
		return len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return isPath(n) || !strings.Contains(n, "@") })
	case "look":
		for _, n := range names {
			if strings.Contains(n, "file:") {
				return false // it may be a setting that other commands follow
			}
			if strings.HasPrefix(n, "/") || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "~") || strings.ContainsAny(n, "*?[") && !strings.Contains(n, " ") {
				e.Reads = append(e.Reads, n)
			}
		}
	case "test":
		e.Reads = append(e.Reads, tested(names, flags)...)
	case "clone":
		if len(names) == 0 || len(names) > 2 || !strings.Contains(names[0], "://") && !strings.HasPrefix(names[0], "git@") || strings.HasPrefix(names[0], "file:") {
			return false
		}
		into := "./" + strings.TrimSuffix(fileOf(strings.TrimSuffix(names[0], "/")), ".git")
		if len(names) == 2 {
			into = names[1]
		}
		e.Writes = append(e.Writes, into)
	case "search":
		e.Reads = append(e.Reads, names...)
		if len(names) == 0 {
			e.Reads = append(e.Reads, ".")
		}
	case "script":
		e.Reads = append(e.Reads, names...)
	case "read":
		e.Reads = append(e.Reads, names...)
	case "write":
		e.Writes = append(e.Writes, names...)
	case "change":
		e.Reads, e.Writes = append(e.Reads, names...), append(e.Writes, names...)
	case "copy", "move", "link":
		if len(names) < 2 {
			return false
		}
		last := len(names) - 1
		if f.Words != "link" {
			e.Reads = append(e.Reads, names[:last]...)
		}
		if f.Words == "move" {
			e.Writes = append(e.Writes, names[:last]...)
		}
		e.Writes = append(e.Writes, names[last])
	}
	return true
}

// tested returns the words of a condition of test that may be files: all but operators, what
// is compared, numbers, and variables unless a flag asks about files.
func tested(names, flags []string) (files []string) {
	aboutFiles := slices.ContainsFunc(flags, func(flag string) bool {
		return !slices.Contains([]string{"-n", "-z", "-a", "-o", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v"}, flag)
	})
	compares := func(i int) bool {
		return i >= 0 && i < len(names) && slices.Contains([]string{"=", "==", "!=", "<", ">"}, names[i])
	}
	for i, n := range names {
		variable := strings.HasPrefix(n, "$") && !strings.Contains(n, "/") && !aboutFiles
		number := strings.Trim(n, "0123456789") == ""
		if !variable && !number && !compares(i) && !compares(i-1) && !compares(i+1) && !slices.Contains([]string{"]", "!", "(", ")"}, n) {
			files = append(files, n)
		}
	}
	return files
}

// isPath reports whether a word may be the name of a file, like "./x", "x.deb" or ".". An
// address or a scoped npm package (@scope/name) is not.
func isPath(w string) bool {
	w = Unquote(w)
	if strings.Contains(w, "file:") {
		return true
	}
	if strings.Contains(w, "://") {
		return false
	}
	w, _, _ = strings.Cut(w, "[") // pip: .[extra]
	if _, from, ok := strings.Cut(strings.TrimPrefix(w, "@"), "@"); ok && namesFile.MatchString(from) {
		return true // npm: name@./folder
	}
	if strings.HasPrefix(w, "$") && !strings.ContainsAny(w, "=@") {
		return true // its value may be a path
	}
	if w == "." || w == ".." || strings.HasPrefix(w, "~") || strings.Contains(w, `\`) {
		return true
	}
	for _, suffix := range []string{".tgz", ".deb", ".rpm", ".apk", ".whl", ".gem", ".zip", ".egg", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tbz", ".txz"} {
		if strings.HasSuffix(w, suffix) {
			return true
		}
	}
	return strings.HasPrefix(w, "./") || strings.HasPrefix(w, "../") || path.IsAbs(w)
}
