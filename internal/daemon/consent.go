package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/git"
	"github.com/stokerd/stoker/internal/project"
)

// allowed reports whether the repository's owner has consented to its steps being run ahead
// of builds. Consent is the owner's who gave it: when the folder gets another owner, it has
// to be allowed again.
func (r *repository) allowed() bool {
	r.mu.Lock()
	consent := r.consent
	r.mu.Unlock()
	return consent.Allowed && consent.Owner == project.Owner(r.root)
}

// Allow answers `stoker allow`: it gives consent, or takes it back.
func (d *Daemon) Allow(ctx context.Context, req api.AllowRequest) (api.Done, error) {
	root, err := rootAround(ctx, req.Dir)
	if err != nil && req.Revoke {
		root, err = d.allowedOnce(req.Dir, err)
	}
	if err != nil {
		return api.Done{}, err
	}
	if err := d.consent(ctx, root, !req.Revoke, req.Pulls && !req.Revoke); err != nil {
		return api.Done{}, err
	}
	if req.Revoke {
		return api.Done{Message: root + ": its steps no longer run ahead of builds"}, nil
	}
	return api.Done{Message: root + ": its steps may run to warm the cache"}, nil
}

// allowedOnce returns the real path of a folder that is gone, if there is still consent for
// it, so that the consent can be taken back before something else takes the folder's place.
// If there is none, the error is why.
func (d *Daemon) allowedOnce(dir string, why error) (string, error) {
	root := filepath.Clean(dir)
	if parent, err := filepath.EvalSymlinks(filepath.Dir(root)); err == nil {
		root = filepath.Join(parent, filepath.Base(root))
	}
	if rec, known, err := d.store.Repository(root); err != nil || !known || !rec.Allowed {
		return "", why
	}
	return root, nil
}

// consent stores what the owner allows. If the repository at root is watched, it is opened
// anew.
func (d *Daemon) consent(ctx context.Context, root string, allowed, pulls bool) error {
	head := headOf(ctx, root).Commit
	repo, err := d.amend(root, func(rec *store.Repository) {
		rec.Owner, rec.Allowed, rec.Pulls, rec.Trusted = project.Owner(root), allowed, pulls, head
	}, func(r *repository) {
		if head != r.consent.Trusted || !allowed {
			r.safe = map[string]bool{}
		}
	})
	if err != nil || repo == nil {
		return err
	}
	if !allowed {
		d.warmer.Forget(root)
	}
	// What the repository's own file may say depends on consent.
	return repo.do(ctx, repo.open)
}

// amend changes what is stored of the repository at root, holding d.amending so that changes
// come one after the other. If the repository is watched, amend replaces its consent, calls
// each of also before that, with its mu held, and returns it; else it returns nil.
func (d *Daemon) amend(root string, change func(*store.Repository), also ...func(*repository)) (*repository, error) {
	d.amending.Lock()
	defer d.amending.Unlock()
	rec, _, err := d.store.Repository(root)
	if err != nil {
		return nil, fmt.Errorf("read what is kept of %s: %w", root, err)
	}
	before := rec
	rec.Root = root
	if rec.Since.IsZero() {
		rec.Since = time.Now()
	}
	change(&rec)
	if rec != before {
		rec.Left = time.Now()
		if rec.Watched {
			rec.Left = time.Time{}
		}
		if err := d.store.PutRepository(rec); err != nil {
			return nil, fmt.Errorf("keep what is known of %s: %w", root, err)
		}
	}
	d.mu.Lock()
	repo := d.repositories[root]
	d.mu.Unlock()
	if repo == nil {
		return nil, nil
	}
	repo.mu.Lock()
	defer repo.mu.Unlock()
	for _, fn := range also {
		fn(repo)
	}
	repo.consent = rec
	return repo, nil
}

// headOf returns where HEAD stands in the repository at root; zero if that is not known.
func headOf(ctx context.Context, root string) git.Head {
	repo, err := git.Open(ctx, root)
	if err != nil {
		return git.Head{}
	}
	head, err := repo.Head(ctx)
	if err != nil {
		return git.Head{}
	}
	return head
}

// trusted reports whether the commit that is checked out in p may run: the user made it or
// built it, it is an ancestor of such a commit, or pulls are allowed. Without git the commit
// is always "", which is trusted once the repository is allowed.
func (r *repository) trusted(p *project.Picture) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	commit := p.Head.Commit
	return r.consent.Pulls || commit == r.consent.Trusted || commit != "" && r.safe[commit]
}

// noteHead trusts the commit of p if the user made it on this machine, or if it is an
// ancestor of a trusted one. Any other commit that HEAD moves to, by a pull or a change of
// branches, counts as somebody else's until the user builds it.
func (r *repository) noteHead(ctx context.Context, p *project.Picture) {
	commit := p.Head.Commit
	r.mu.Lock()
	known, safe := r.consent.Trusted, maps.Clone(r.safe)
	idle := !r.consent.Allowed || commit == "" || commit == known || safe[commit]
	r.mu.Unlock()
	if idle {
		return
	}
	repo, err := git.Open(ctx, r.root)
	if err != nil {
		return
	}
	if madeHere(ctx, repo, commit, known, safe) {
		r.trust(commit)
		return
	}
	if known == "" {
		return
	}
	if _, err := repo.Run(ctx, "merge-base", "--is-ancestor", commit, known); err == nil {
		// The newer one stays trusted: the user may go back to it.
		r.mu.Lock()
		r.safe[commit] = true
		r.mu.Unlock()
	}
}

// madeHere reports whether commit was made on this machine upon a trusted one, known or one
// of safe, by nothing but `git commit`, according to the reflog of HEAD. Anything else in
// between, such as a pull or a merge, may have brought commits of other people. The entries
// need not be the last ones: HEAD may have moved on since.
func madeHere(ctx context.Context, repo *git.Repo, commit, known string, safe map[string]bool) bool {
	out, err := repo.Run(ctx, "log", "-g", "-n", "1000", "--format=%H %gs", "HEAD", "--")
	if err != nil {
		return false
	}
	chain := false // every entry since one of commit was a commit
	for entry := range strings.Lines(string(out)) {
		at, action, _ := strings.Cut(strings.TrimSpace(entry), " ")
		chain = chain || at == commit
		if chain && (at == known || safe[at]) {
			return true
		}
		// "commit (merge)" and "commit (cherry-pick)" finish what may have brought the
		// work of others, so they are not among these.
		switch kind, _, _ := strings.Cut(action, ":"); kind {
		case "commit", "commit (amend)":
		case "commit (initial)":
			if chain && known == "" { // the repository began after it was allowed
				return true
			}
			chain = false
		default:
			chain = false
		}
	}
	return false
}

// trust stores that a commit may run. The one that was stored before stays trusted until the
// daemon ends.
func (r *repository) trust(commit string) {
	_, err := r.daemon.amend(r.root, func(rec *store.Repository) { rec.Trusted = commit }, func(r *repository) {
		// The user may go back to its branch.
		if r.consent.Allowed {
			r.safe[r.consent.Trusted] = true
		}
	})
	if err != nil {
		r.log.Error("remember a trusted commit", "error", err)
		return
	}
	r.daemon.board.changed()
}

// takesPulls reports whether commits from elsewhere may run too.
func (r *repository) takesPulls() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.consent.Pulls
}

// unsettled returns why the files on the disk may not be those of the commit of p, "" if they
// are, and whether HEAD has moved away from that commit. Git writes the files of a pull
// before it moves HEAD, and a merge or a rebase that stopped half-way leaves files of other
// people without moving it.
func (r *repository) unsettled(ctx context.Context, p *project.Picture) (why string, moved bool) {
	repo, err := git.Open(ctx, r.root)
	if errors.Is(err, git.ErrNotRepository) {
		return "", p.Head.Commit != ""
	}
	if _, absent := os.Lstat(filepath.Join(r.root, ".git")); errors.Is(err, git.ErrNoGit) && absent != nil {
		return "", false
	}
	if err != nil {
		return unreadableHead, false
	}
	head, err := repo.Head(ctx)
	if err != nil {
		return unreadableHead, false
	}
	if head.Commit != p.Head.Commit {
		return "", true
	}
	out, err := repo.Run(ctx, "rev-parse", "--git-dir")
	if err != nil {
		return unreadableHead, false
	}
	dir := strings.TrimSuffix(string(out), "\n")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.root, dir)
	}
	for _, name := range []string{"index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge", "rebase-apply"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return "git is in the middle of something (" + name + ")", false
		}
	}
	return "", false
}

// unreadableHead is a reason that unsettled gives.
const unreadableHead = "git does not say where HEAD stands"
