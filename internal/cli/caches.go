package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
)

// caches parses the values of flag, which is --cache-from or --cache-to. As buildx does,
// it takes credentials from the environment (buildx: build.CreateCaches). folder is the
// attribute that names the folder of a local cache: src or dest.
func (o *options) caches(flag, folder string, texts []string) ([]api.Cache, error) {
	var list []api.Cache
	for _, text := range texts {
		parsed, err := buildctx.ParseCaches(text)
		if err != nil {
			return nil, usage("for example "+flag+" registry.example/app:cache", "%s: %v", flag, err)
		}
		for _, attrs := range parsed {
			c := api.Cache{Type: attrs["type"], Attrs: attrs}
			delete(attrs, "type")
			if err := o.complete(flag, folder, &c); err != nil {
				return nil, err
			}
			if c.Type == "gha" && (attrs["token"] == "" || attrs["url"]+attrs["url_v2"] == "") {
				o.hint("%s type=gha is left out: it is for what runs on GitHub", flag)
				continue
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// complete adds to c the attributes that it takes from this machine. It returns an
// error if one that is needed is missing.
func (o *options) complete(flag, folder string, c *api.Cache) error {
	env := o.env()
	take := func(attr string, names ...string) {
		for _, name := range names {
			if _, given := c.Attrs[attr]; !given && env[name] != "" {
				c.Attrs[attr] = env[name]
			}
		}
	}
	switch c.Type {
	case "registry":
		if c.Attrs["ref"] == "" {
			return usage("for example "+flag+" type=registry,ref=registry.example/app:cache", "%s: a cache in a registry needs a ref", flag)
		}
	case "local":
		if c.Attrs[folder] == "" {
			return usage("for example "+flag+" type=local,"+folder+"=cache", "%s: a local cache needs a %s", flag, folder)
		}
		c.Attrs[folder] = o.absolute(c.Attrs[folder])
		if _, err := os.Stat(filepath.Join(c.Attrs[folder], "index.json")); err != nil && folder == "src" {
			return usage("write one first: stoker warm --cache-to type=local,dest=…", "%s: there is no cache in %s", flag, c.Attrs[folder])
		}
	case "inline":
		return usage("another type, as in "+flag+" type=registry,ref=registry.example/app:cache", "%s: an inline cache is part of an image, and warming makes none", flag)
	case "gha":
		take("token", "ACTIONS_RUNTIME_TOKEN")
		if c.Attrs["version"] == "2" || slices.Contains([]string{"1", "t", "true"}, strings.ToLower(env["ACTIONS_CACHE_SERVICE_V2"])) {
			take("url_v2", "ACTIONS_RESULTS_URL")
		}
		take("url", "ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL")
	case "s3":
		if c.Attrs["access_key_id"] == "" || c.Attrs["secret_access_key"] == "" {
			take("access_key_id", "AWS_ACCESS_KEY_ID")
			take("secret_access_key", "AWS_SECRET_ACCESS_KEY")
			take("session_token", "AWS_SESSION_TOKEN")
		}
	}
	return nil
}
