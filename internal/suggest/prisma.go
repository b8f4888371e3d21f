package suggest

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
)

// These match in a schema of Prisma what has code generated, and what says where to.
var (
	prismaGenerator = regexp.MustCompile(`(?ms)^\s*generator\s+\w+\s*\{(.*?)\}`)
	prismaBegins    = regexp.MustCompile(`(?m)^\s*generator\b`)
	prismaClient    = regexp.MustCompile(`(?m)^\s*provider\s*=\s*"prisma-client-js"`)
	prismaOutput    = regexp.MustCompile(`(?m)^\s*output\s*=`)
)

// makesClient matches a script of a project that is the one of @prisma/client.
var makesClient = regexp.MustCompile(`^(?:npx |pnpm (?:exec )?|yarn (?:run )?)?prisma generate$`)

// prismaPrograms are settings of Prisma that are programs, and may read anything.
var prismaPrograms = []string{
	"prisma.config.ts", "prisma.config.js", "prisma.config.mjs", "prisma.config.cjs", "prisma.config.mts", "prisma.config.cts",
	".config/prisma.ts", ".config/prisma.js", ".config/prisma.mjs", ".config/prisma.cjs", ".config/prisma.mts", ".config/prisma.cts",
}

// prismaFiles returns what the install script of @prisma/client reads of a project that is no
// workspace: the schema, in one file or in several, and variables (Prisma: docs, "Schema location").
// It reports false if that is not known, if the script makes more than the client in node_modules, and
// if it does not run.
func prismaFiles(r reader, scripts lifecycle) ([]string, bool) {
	const client = "@prisma/client"
	text := r.local("package.json")
	asked := bytes.Contains(text, []byte("prisma generate"))
	asked = asked || scripts.runs(client) && (bytes.Contains(text, []byte(client)) || locked(r, []string{client}) != "")
	if !asked || scripts.ignored || scripts.berry {
		return nil, false
	}
	var settings struct{ Prisma struct{ Schema string } }
	if json.Unmarshal(text, &settings) != nil || settings.Prisma.Schema != "" || r.any(prismaPrograms...) != "" {
		return nil, false
	}
	list := r.matching("prisma/**/*.prisma")
	if r.exists("schema.prisma") {
		list = append(list, path.Join(r.dir, "schema.prisma"))
	}
	found := 0
	for _, name := range list {
		text := r.file(name)
		blocks := prismaGenerator.FindAllSubmatch(text, -1)
		if len(blocks) != len(prismaBegins.FindAll(text, -1)) {
			return nil, false
		}
		found += len(blocks)
		for _, block := range blocks {
			if !prismaClient.Match(block[1]) || prismaOutput.Match(block[1]) {
				return nil, false
			}
		}
	}
	for _, name := range []string{".env", "prisma/.env"} {
		if r.exists(name) {
			list = append(list, path.Join(r.dir, name))
		}
	}
	return list, found > 0
}
