package dockerfile

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// A Trait is one of the values of which an operation's digest is made. Comparing the traits
// of two operations tells why their digests differ.
type Trait struct {
	Kind TraitKind
	// Name is that of the variable for a VariableTrait, else the trait's number
	// among those of its kind, from 0.
	Name string
	// Sum is a plain hash over the value, which may be a secret: it must stay in
	// memory.
	Sum string
}

// A TraitKind says from which part of an instruction, or of the instructions above it, a
// trait comes.
type TraitKind string

// The kinds of traits.
const (
	CommandTrait     TraitKind = "command"     // what RUN executes, SHELL included
	VariableTrait    TraitKind = "variable"    // of the environment of RUN: ENV, or ARG with a value
	WorkDirTrait     TraitKind = "workdir"     // in which RUN runs, or that WORKDIR makes
	UserTrait        TraitKind = "user"        // of RUN
	PlatformTrait    TraitKind = "platform"    // of RUN
	MountTrait       TraitKind = "mount"       // a bind, cache or tmpfs mount
	SecretTrait      TraitKind = "secret"      // a secret that is mounted or is in a variable
	SSHTrait         TraitKind = "ssh"         // an ssh agent that is mounted
	OptionTrait      TraitKind = "option"      // network, security, hosts and the like
	OriginTrait      TraitKind = "source"      // the paths that COPY and ADD copy, as far as they count
	DestinationTrait TraitKind = "destination" // where COPY and ADD copy to
	OwnerTrait       TraitKind = "owner"       // --chown
	PermissionsTrait TraitKind = "permissions" // --chmod
	TextTrait        TraitKind = "text"        // of a heredoc
)

// traits returns the traits of op (BuildKit: solver/llbsolver/ops, ExecOp.CacheMap and
// fileOp.CacheMap). Only RUN and operations on files have traits.
func traits(op *pb.Op) []Trait {
	var list traitList
	switch {
	case op.GetExec() != nil:
		list.exec(op.GetExec())
		if p := op.Platform; p != nil {
			list.add(PlatformTrait, "", p.OS, p.Architecture, p.Variant, p.OSVersion, p.OSFeatures)
		}
	case op.GetFile() != nil:
		for _, action := range op.GetFile().Actions {
			list.action(action)
		}
	}
	return list
}

// A traitList collects the traits of an operation.
type traitList []Trait

// add adds a trait with these values. If name is "" it is numbered.
func (l *traitList) add(kind TraitKind, name string, values ...any) {
	if name == "" {
		n := 0
		for _, t := range *l {
			if t.Kind == kind {
				n++
			}
		}
		name = fmt.Sprint(n)
	}
	text, err := json.Marshal(values)
	if err != nil {
		text = fmt.Append(nil, values...) // plain values always marshal
	}
	*l = append(*l, Trait{Kind: kind, Name: name, Sum: digest.FromBytes(text).String()})
}

// exec adds the traits of a RUN, apart from its platform.
func (l *traitList) exec(e *pb.ExecOp) {
	meta := e.GetMeta()
	l.add(CommandTrait, "", meta.GetArgs())
	for _, v := range meta.GetEnv() {
		name, value, _ := strings.Cut(v, "=")
		l.add(VariableTrait, name, value)
	}
	l.add(WorkDirTrait, "", meta.GetCwd())
	l.add(UserTrait, "", meta.GetUser())
	var hosts []string
	for _, h := range meta.GetExtraHosts() {
		hosts = append(hosts, h.Host)
	}
	l.add(OptionTrait, "", hosts, meta.GetHostname(), meta.GetUlimit(), meta.GetCgroupParent(), meta.GetValidExitCodes(), e.Network, e.Security, e.CdiDevices)
	if len(e.Mounts) > 1 || len(e.Mounts) == 1 && e.Mounts[0].Dest != pb.RootMount {
		for _, m := range e.Mounts {
			l.mount(m)
		}
	}
	for _, s := range e.Secretenv {
		l.add(SecretTrait, "", s.ID, s.Name, s.Optional)
	}
}

// mount adds the trait of a mount of RUN.
func (l *traitList) mount(m *pb.Mount) {
	switch m.MountType {
	case pb.MountType_SECRET:
		l.add(SecretTrait, "", m.Dest, m.SecretOpt)
	case pb.MountType_SSH:
		l.add(SSHTrait, "", m.Dest, m.SSHOpt)
	case pb.MountType_CACHE:
		// The id and the sharing count only where both are the defaults: the id is that of
		// the target, maybe in a namespace (ops.checkShouldClearCacheOpts).
		id, sharing := m.CacheOpt.GetID(), m.CacheOpt.GetSharing()
		if _, rest, scoped := strings.Cut(id, "/"); sharing != 0 || id != m.Dest && !(scoped && rest == m.Dest) {
			id, sharing = "", 0
		}
		l.add(MountTrait, "", m.MountType, m.Dest, id, sharing)
	default:
		l.add(MountTrait, "", m.MountType, m.Dest, m.Readonly, m.TmpfsOpt, m.ContentCache)
	}
}

// action adds the traits of one action of an operation on files.
func (l *traitList) action(action *pb.FileAction) {
	if cp := action.GetCopy(); cp != nil {
		src := cp.Src
		if action.SecondaryInput != -1 {
			src = path.Base(src) // files of an input count by their content
		}
		l.add(OriginTrait, "", src, cp.IncludePatterns, cp.ExcludePatterns, cp.RequiredPaths)
		l.add(DestinationTrait, "", cp.Dest)
		l.add(OwnerTrait, "", cp.Owner)
		l.add(PermissionsTrait, "", cp.Mode, cp.ModeStr)
		l.add(OptionTrait, "", cp.FollowSymlink, cp.DirCopyContents, cp.AttemptUnpackDockerCompatibility, cp.CreateDestPath,
			cp.AllowWildcard, cp.AllowEmptyWildcard, cp.Timestamp, cp.AlwaysReplaceExistingDestPaths)
	}
	if f := action.GetMkfile(); f != nil {
		l.add(DestinationTrait, "", f.Path)
		l.add(TextTrait, "", f.Data)
		l.add(OwnerTrait, "", f.Owner)
		l.add(PermissionsTrait, "", f.Mode)
		l.add(OptionTrait, "", f.Timestamp)
	}
	if d := action.GetMkdir(); d != nil {
		l.add(WorkDirTrait, "", d.Path)
		l.add(OwnerTrait, "", d.Owner)
		l.add(PermissionsTrait, "", d.Mode)
		l.add(OptionTrait, "", d.MakeParents, d.Timestamp)
	}
	if s := action.GetSymlink(); s != nil {
		l.add(DestinationTrait, "", s.Oldpath, s.Newpath, s.Timestamp)
		l.add(OwnerTrait, "", s.Owner)
	}
	if r := action.GetRm(); r != nil {
		l.add(DestinationTrait, "", r.Path, r.AllowNotFound, r.AllowWildcard)
	}
}
