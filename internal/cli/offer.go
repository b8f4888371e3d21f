package cli

import (
	"encoding/csv"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// offer is the flags that give secrets and ssh agents to a build, spelt as docker
// build spells them.
type offer struct {
	secrets []string
	ssh     []string
}

func (f *offer) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.secrets, "secret", nil, "secret for steps that are built: id=NAME[,src=FILE|,env=NAME]")
	cmd.Flags().StringArrayVar(&f.ssh, "ssh", nil, "ssh agent or keys for steps that are built: default, or ID[=SOCKET|KEY[,KEY]]")
}

func (f *offer) given() bool { return len(f.secrets)+len(f.ssh) > 0 }

// read returns the values of secrets by id, and the sockets or key files of ssh
// agents by id. It reads the files of secrets; an error is one of usage.
func (f *offer) read(o *options) (secrets map[string][]byte, ssh map[string][]string, err error) {
	env := o.env()
	secrets = map[string][]byte{}
	for _, spec := range f.secrets {
		id, value, err := f.secret(o, env, spec)
		if err != nil {
			return nil, nil, err
		}
		secrets[id] = value
	}
	ssh = map[string][]string{}
	for _, spec := range f.ssh {
		id, value, ok := strings.Cut(spec, "=")
		if id == "" {
			return nil, nil, usage("--ssh default", "--ssh needs an id")
		}
		var paths []string
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				paths = append(paths, o.absolute(name))
			}
		}
		if !ok {
			if env["SSH_AUTH_SOCK"] == "" {
				return nil, nil, usage("start one, or name a key: --ssh "+id+"=FILE", "--ssh %s: no ssh agent runs", id)
			}
			paths = []string{env["SSH_AUTH_SOCK"]}
		}
		ssh[id] = paths
	}
	return secrets, ssh, nil
}

// secret reads the secret of one --secret flag. If the flag names neither a file nor
// a variable, the id does: the variable if it is set, else the file (docker buildx:
// util/buildflags).
func (f *offer) secret(o *options, env map[string]string, spec string) (id string, value []byte, err error) {
	fields, err := csv.NewReader(strings.NewReader(spec)).Read()
	if err != nil {
		return "", nil, usage("--secret id=token,src=token.txt", "--secret does not parse: %v", err)
	}
	given := map[string]string{}
	for _, field := range fields {
		key, text, ok := strings.Cut(field, "=")
		switch key = strings.ToLower(key); key {
		case "source":
			key = "src"
		case "id", "src", "env", "type":
		default:
			ok = false
		}
		if !ok {
			return "", nil, usage("--secret id=token,src=token.txt", "--secret knows id, src, env and type, and no %s", key)
		}
		given[key] = text
	}
	id = given["id"]
	if id == "" {
		return "", nil, usage("--secret id=token,src=token.txt", "--secret needs an id")
	}
	file, name := given["src"], given["env"]
	if given["type"] == "env" && name == "" {
		file, name = "", file
	}
	if name == "" && file == "" {
		if _, ok := env[id]; ok && given["type"] != "file" {
			name = id
		} else {
			file = id
		}
	}
	if name != "" {
		text, ok := env[name]
		if !ok {
			return "", nil, usage("", "--secret %s: the variable %s is not set", id, name)
		}
		return id, []byte(text), nil
	}
	if value, err = os.ReadFile(o.absolute(file)); err != nil {
		return "", nil, usage("", "--secret %s: %v", id, err)
	}
	return id, value, nil
}
