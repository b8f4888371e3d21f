package daemon

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/git"
	"github.com/stokerd/stoker/internal/project"
)

// allowed reports whether the repository's owner has consented to its steps
// being run. Consent counts for the owner who gave it: a folder that changed
// hands has to be allowed again.
func (r *repository) allowed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.consent.Allowed && r.consent.Owner == ownerOf(r.root)
}

// Allow gives or takes back consent.
func (d *Daemon) Allow(ctx context.Context, req api.AllowRequest) (api.Done, error) {
	root, err := project.Root(ctx, req.Dir)
	if err != nil {
		return api.Done{}, &api.Error{Code: api.BadInput, Message: err.Error()}
	}
	if err := d.consent(ctx, root, !req.Revoke, req.Pulls && !req.Revoke); err != nil {
		return api.Done{}, err
	}
	if req.Revoke {
		return api.Done{Message: root + ": its steps no longer run ahead of builds"}, nil
	}
	return api.Done{Message: root + ": its steps may run to warm the cache"}, nil
}

// consent stores what the owner says, and tells the repository if it is watched.
func (d *Daemon) consent(ctx context.Context, root string, allowed, pulls bool) error {
	rec, _, err := d.store.Repository(root)
	if err != nil {
		return fmt.Errorf("read consent: %w", err)
	}
	rec.Root, rec.Owner, rec.Allowed, rec.Pulls = root, ownerOf(root), allowed, pulls
	if rec.Since.IsZero() {
		rec.Since = time.Now()
	}
	rec.Trusted = headOf(ctx, root).Commit
	if err := d.store.PutRepository(rec); err != nil {
		return fmt.Errorf("store consent: %w", err)
	}
	d.mu.Lock()
	repo := d.repositories[root]
	d.mu.Unlock()
	if repo == nil {
		return nil
	}
	repo.mu.Lock()
	repo.consent.Owner, repo.consent.Allowed, repo.consent.Pulls, repo.consent.Trusted = rec.Owner, allowed, pulls, rec.Trusted
	repo.mu.Unlock()
	if !allowed {
		d.warmer.Forget(root)
	}
	// What the repository's own file may say depends on consent.
	return repo.do(ctx, repo.open)
}

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

// trusted reports whether the commit that is checked out may run: the user made
// it or built it, it came before one of those, or pulls are allowed.
func (r *repository) trusted(p *project.Picture) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.consent.Pulls || p.Head.Commit == "" || p.Head.Commit == r.consent.Trusted
}

// noteHead trusts a commit that the user made on this machine, or that a
// trusted one builds upon. Everything else that HEAD moves to (a pull, another
// branch) is somebody else's until the user builds it.
func (r *repository) noteHead(ctx context.Context, p *project.Picture) {
	r.mu.Lock()
	known, allowed := r.consent.Trusted, r.consent.Allowed
	r.mu.Unlock()
	commit := p.Head.Commit
	if !allowed || commit == "" || commit == known {
		return
	}
	repo, err := git.Open(ctx, r.root)
	if err != nil {
		return
	}
	if madeHere(ctx, repo, known) {
		r.trust(commit)
		return
	}
	if known != "" {
		if _, err := repo.Run(ctx, "merge-base", "--is-ancestor", commit, known); err == nil {
			r.trust(commit)
		}
	}
}

// madeHere reports whether HEAD got from known to where it is by `git commit`
// alone, as its log says. Anything else in between (a pull, a merge, another
// branch) may have brought somebody's commits.
func madeHere(ctx context.Context, repo *git.Repo, known string) bool {
	out, err := repo.Run(ctx, "log", "-g", "-n", "1000", "--format=%H %gs", "HEAD", "--")
	if err != nil {
		return false
	}
	for entry := range strings.Lines(string(out)) {
		commit, action, _ := strings.Cut(strings.TrimSpace(entry), " ")
		if commit == known {
			return true
		}
		if !strings.HasPrefix(action, "commit") {
			return false
		}
	}
	return known == "" && len(out) > 0 // a repository that began after it was allowed
}

// trust remembers a commit whose steps may run.
func (r *repository) trust(commit string) {
	r.mu.Lock()
	r.consent.Trusted = commit
	rec := r.consent
	r.mu.Unlock()
	if err := r.daemon.store.PutRepository(rec); err != nil {
		r.log.Error("remember a trusted commit", "error", err)
	}
	r.daemon.board.changed()
}

// ownerOf returns the uid that owns root, -1 if it cannot be told.
func ownerOf(root string) int {
	fi, err := os.Stat(root)
	if err != nil {
		return -1
	}
	return uidOf(fi)
}
