package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// isolated returns a command in a mount and a PID namespace of its own. When its first process
// ends, the kernel kills all that runs in the PID namespace, containers too, and with the last of
// them the mounts go: nothing is left to clean up, however the lab ends. /proc is mounted anew because
// runc reads it and would see the wrong processes.
func isolated(name string, args ...string) *exec.Cmd {
	const script = `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
		// Ctrl-C in a terminal reaches the whole process group; the lab decides when buildkitd ends.
		Setpgid: true,
	}
	return cmd
}

// checkMachine says all that this machine lacks for a lab, and the mend, before anything is built.
func checkMachine() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("the lab's buildkitd mounts filesystems and must run as root: use sudo, or set "+
			EnvBuildKit+" to the address of a running buildkitd"))
	}
	var missing []string
	if _, err := exec.LookPath("runc"); err != nil {
		missing = append(missing, "runc")
	}
	if _, err := busyboxPath(); err != nil {
		missing = append(missing, "busybox-static")
	}
	if len(missing) > 0 {
		install := "apt-get install --no-install-recommends"
		for _, p := range missing {
			install += " " + p
		}
		errs = append(errs, fmt.Errorf("the lab needs programs that are not here; on Debian or Ubuntu: %s", install))
	}
	if len(errs) == 0 {
		errs = append(errs, checkCgroups("/sys/fs/cgroup"))
	}
	return errors.Join(errs...)
}

// checkCgroups tries what runc does for every container: make a group. In a container without
// privileges this is what fails, and runc's own words for it are hard to read.
func checkCgroups(mount string) error {
	dir := mount
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err != nil {
		dir = filepath.Join(mount, "devices") // cgroup v1 has a tree per controller; runc needs this one
	}
	probe, err := os.MkdirTemp(dir, "stoker-lab-")
	if err != nil {
		return fmt.Errorf("runc cannot make a control group here: %w; in a container, give it --privileged", err)
	}
	return os.Remove(probe)
}
