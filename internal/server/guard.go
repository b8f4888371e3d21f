package server

import (
	"mime"
	"net/http"
	"runtime/debug"

	"github.com/stokerd/stoker/internal/api"
)

// browserHeaders are sent by browsers and never by stoker's client. A page can neither
// set nor suppress them (Fetch standard).
var browserHeaders = []string{"Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode"}

// guarded passes only requests that stoker's own client could have sent to next.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		if why := suspect(r); why != "" {
			s.fail(w, r, &api.Error{Code: api.Forbidden, Message: "request refused: " + why, Hint: "only the stoker command may use this socket"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// suspect returns what is wrong with a request that stoker's client would not send, or
// "".
func suspect(r *http.Request) string {
	// A page that reaches a forwarded port through a name that resolves to this
	// machine (DNS rebinding) has that name as the host.
	if r.Host != api.Host {
		return "it is addressed to another host"
	}
	for _, name := range browserHeaders {
		if r.Header.Get(name) != "" {
			return "it comes from a browser"
		}
	}
	if r.Method == http.MethodPost {
		// A page can post a form to any host without asking, but not with this type.
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return "its body is not application/json"
		}
	}
	return ""
}

// recovered turns a panic in next into an error answer, so that a defect in one request
// does not end the daemon.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.log().Error("a request panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				s.fail(w, r, &api.Error{Code: api.Internal, Message: "stoker failed on this request", Hint: "the daemon's log has the details; please report them"})
			}
		}()
		next.ServeHTTP(w, r)
	})
}
