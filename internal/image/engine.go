package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const startEngine = "start Docker, or set DOCKER_HOST"

// engineTimeout bounds how long an engine may take to say whether it has an image.
const engineTimeout = 15 * time.Second

// fromEngine opens an image of a Docker Engine, as the stream that `docker save` would write (Engine API: GET
// /images/{name}/get).
func (i *Image) fromEngine(ctx context.Context, name string, o OpenOptions) error {
	dial := o.Engine
	if dial == nil {
		why := "none is known"
		if o.NoEngine != nil {
			why = o.NoEngine.Error()
		}
		return &Error{Message: "no Docker Engine: " + why, Hint: startEngine, Unreachable: true}
	}
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
	}
	i.closers = append(i.closers, closer(transport.CloseIdleConnections))
	client := &http.Client{Transport: transport}
	if err := askEngine(ctx, client, name); err != nil {
		return err
	}
	query, err := i.want.engineQuery()
	if err != nil {
		return err
	}
	resp, err := engineGet(ctx, client, name, "get", query) //nolint:bodyclose // i closes it
	if err != nil {
		return rootOf(err)
	}
	i.closers = append(i.closers, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return bad("", "the Docker Engine does not give it out: %s", engineMessage(resp))
	}
	i.from, i.stream = "the Docker Engine", resp.Body
	return nil
}

// askEngine returns an error unless the engine answers and has an image of that name.
func askEngine(ctx context.Context, client *http.Client, name string) error {
	asked, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	resp, err := engineGet(asked, client, name, "json", "")
	if err != nil {
		return &Error{Message: "the Docker Engine does not answer: " + rootOf(err).Error(), Hint: startEngine, Unreachable: true}
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return bad("docker images lists what it has", "the Docker Engine has no such image")
	}
	return fmt.Errorf("the Docker Engine answers %s", resp.Status)
}

// engineQuery returns the query that asks an engine for the platform, "" for none. Engines before API 1.48 ignore it.
func (w want) engineQuery() (string, error) {
	if w.platform == "" {
		return "", nil
	}
	p, err := parsePlatform(w.platform)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return "?platform=" + url.QueryEscape(string(text)), nil
}

// engineGet requests /images/NAME/WHAT. It leaves the API version out of the path, because all versions have these.
func engineGet(ctx context.Context, client *http.Client, name, what, query string) (*http.Response, error) {
	// A socket needs no host, but HTTP does.
	u := "http://docker/images/" + (&url.URL{Path: name}).EscapedPath() + "/" + what + query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// engineMessage returns the message in the body of an error, or the HTTP status if there is none.
func engineMessage(resp *http.Response) string {
	var said struct{ Message string }
	const enough = 4 << 10
	if err := json.NewDecoder(io.LimitReader(resp.Body, enough)).Decode(&said); err != nil || said.Message == "" {
		return resp.Status
	}
	return said.Message
}

// rootOf returns the error in a [url.Error], without the URL, whose host is made up for an engine.
func rootOf(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// closer is a function as an io.Closer.
type closer func()

func (c closer) Close() error {
	c()
	return nil
}
