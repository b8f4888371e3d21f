package probe

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process describes the first process of the container, which is the program of the image.
type process struct {
	name     string
	uid, gid int
	groups   []uint32
	start    time.Duration // from the boot of the machine to its start
}

// program reads about process 1 in /proc (man 5 proc_pid_status, proc_pid_stat).
func program() (process, error) {
	var p process
	for line := range fields("/proc/1/status") {
		switch line[0] {
		case "Name:":
			p.name = strings.Join(line[1:], " ")
		case "Uid:":
			p.uid = number(line, 2) // the effective one
		case "Gid:":
			p.gid = number(line, 2)
		case "Groups:":
			for i := range line[1:] {
				p.groups = append(p.groups, uint32(number(line, i+1)))
			}
		}
	}
	stat, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return p, errors.New("/proc of the container cannot be read")
	}
	// The second field is the name, in parentheses, which may itself contain parentheses. The others are numbered from
	// the one after that.
	rest := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	const startTime, hertz = 19, 100 // USER_HZ is 100 on all platforms of Linux on which containers run
	if len(rest) <= startTime {
		return p, errors.New("/proc/1/stat of the container is short")
	}
	ticks, err := strconv.ParseInt(rest[startTime], 10, 64)
	p.start = time.Duration(ticks) * (time.Second / hertz)
	return p, err
}

// age returns how long the program has run; 0 if that is not known.
func (p process) age() time.Duration {
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	up, _, _ := strings.Cut(string(data), " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return 0
	}
	return max(0, time.Duration(seconds*float64(time.Second))-p.start)
}

// started returns when the program was started, by the clock that sets the times of files.
func (p process) started() time.Time { return time.Now().Add(-p.age()) }

// memory returns the sum of the peaks of the resident memory of all processes but the probe, in bytes.
func memory() int64 {
	var sum int64
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, dir := range pids {
		if filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		for line := range fields(dir + "/status") {
			if line[0] == "VmHWM:" {
				sum += int64(number(line, 1)) << 10
			}
		}
	}
	return sum
}

// listening returns the TCP ports on which a process in the network namespace listens, sorted.
func listening() []int {
	var ports []int
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		for line := range fields(table) {
			const local, state = 1, 3                      // columns
			if len(line) <= state || line[state] != "0A" { // TCP_LISTEN
				continue
			}
			_, hex, _ := strings.Cut(line[local], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil && !slices.Contains(ports, int(port)) {
				ports = append(ports, int(port))
			}
		}
	}
	slices.Sort(ports)
	return ports
}

// written finds the files that changed on the root file system since a time. It looks at the time of the last change of
// the inode, because programs can set the others.
func written(since time.Time, volumes []string) (paths []string, count int) {
	apart, around := mounts()
	for _, v := range volumes {
		apart[filepath.Clean("/"+v)] = true
	}
	tell := func(name string) {
		if count++; len(paths) < mostWritten {
			paths = append(paths, strings.TrimPrefix(name, "/"))
		}
	}
	told := map[string]bool{} // folders with files in paths
	var folders []string      // changed folders
	_ = filepath.WalkDir("/", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it was removed in the meantime
		case apart[name] && d.IsDir():
			return fs.SkipDir
		case apart[name]:
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || time.Unix(stat.Ctim.Unix()).Before(since) {
			return nil
		}
		if !d.IsDir() {
			told[filepath.Dir(name)] = true
			tell(name)
		} else if !around[name] {
			folders = append(folders, name)
		}
		return nil
	})
	for _, dir := range folders {
		if !told[dir] {
			tell(dir + "/")
		}
	}
	return paths, count
}

// mounts returns the mount points except for the root, and the folders that these are in: a folder changes if a mount
// point is made in it.
func mounts() (points, around map[string]bool) {
	points, around = map[string]bool{}, map[string]bool{}
	for line := range fields("/proc/self/mountinfo") {
		const mountPoint = 4 // column
		if len(line) > mountPoint && line[mountPoint] != "/" {
			point := unescape(line[mountPoint])
			points[point], around[filepath.Dir(point)] = true, true
		}
	}
	return points, around
}

// unescape decodes the octal escapes in mountinfo, such as \040 for a space.
func unescape(name string) string {
	for _, pair := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		name = strings.ReplaceAll(name, pair[0], pair[1])
	}
	return name
}

// fields yields the words of each line of a file that has words. It yields nothing if the file cannot be read.
func fields(name string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(name)
		if err != nil {
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if words := strings.Fields(lines.Text()); len(words) > 0 && !yield(words) {
				return
			}
		}
	}
}

// number returns the word with an index as a number; 0 if it is none, or if there is no such word.
func number(line []string, at int) int {
	if at >= len(line) {
		return 0
	}
	n, err := strconv.Atoi(line[at])
	if err != nil {
		return 0
	}
	return n
}
