package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolated returns a command in a mount and a PID namespace of its own. When its first process
// ends, the kernel kills all that runs in the PID namespace, containers too, and with the last of
// them the mounts go: nothing is left to clean up, however the lab ends. /proc is mounted anew because
// runc reads it and would see the wrong processes.
func isolated(name string, args ...string) *exec.Cmd {
	const script = `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
	return inNamespaces(syscall.CLONE_NEWNS|syscall.CLONE_NEWPID, script, "sh", name, args)
}

// isolatedNetwork is that with a network namespace of its own, too, and with a /run in which no server of the
// machine's is found (dockerd takes a containerd that runs), and in which no socket stays behind.
func isolatedNetwork(name string, args ...string) *exec.Cmd {
	const script = `mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run &&
"$0" ip link set lo up && exec "$@"`
	box, _ := busyboxPath() // checkMachine has found it
	return inNamespaces(syscall.CLONE_NEWNS|syscall.CLONE_NEWPID|syscall.CLONE_NEWNET, script, box, name, args)
}

// inNamespaces starts a program by a script whose $0 is zero.
func inNamespaces(flags uintptr, script, zero, name string, args []string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, zero, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: flags,
		Pdeathsig:  syscall.SIGKILL,
		// Ctrl-C in a terminal reaches the whole process group; the lab decides when buildkitd ends.
		Setpgid: true,
	}
	return cmd
}

// listenInside listens in the network namespace of a process: a socket stays in the one that it was made in.
func listenInside(ctx context.Context, pid int, address string) (net.Listener, error) {
	var listener net.Listener
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: a thread that has been elsewhere ends with its goroutine
		made <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the network of process %d: %w", pid, err)
			}
			listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
			return err
		}()
	}()
	err := <-made
	return listener, err
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
