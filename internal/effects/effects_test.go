package effects_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/effects"
)

func TestOf(t *testing.T) {
	for _, c := range []struct{ command, want string }{
		{"apt-get -qq -y install gcc", "reads packages; writes packages /opt/google /opt/microsoft"},
		{"apt-get install -y -t stable gcc", "reads packages; writes packages /opt/google /opt/microsoft"},
		{"apt-get install ./local.deb", "unknown"},
		{"pip install $PACKAGES", "unknown"},
		{"apt-get install -y $PACKAGES", "unknown"},
		{"cp -rt /opt/x a", "unknown"},
		{"mv -vt /opt/x a", "unknown"},
		{"ldconfig", "reads /; writes /"},
		{"apk --no-cache add curl", "reads packages; writes packages /opt/google /opt/microsoft"},
		{"apk add curl~8.5 nginx", "reads system; writes system /opt/google /opt/microsoft"},
		{"apt-get install git=1:2.39.5-0 unzip -y", "reads packages; writes packages /opt/google /opt/microsoft"},
		{"apt-get install -y git- unzip", "reads system; writes system /opt/google /opt/microsoft"},
		{"apt-get install -y -o APT::Install-Suggests=true git", "reads system; writes system /opt/google /opt/microsoft"},
		{"apt-get install -y --install-suggests git", "reads system; writes system /opt/google /opt/microsoft"},
		{"apt-get purge -y git", "reads system; writes system /opt/google /opt/microsoft"},
		{"apt-get upgrade -y", "reads system; writes system"},
		{"sudo apt-get update", "reads packages; writes packages"},
		{"npm ci --omit=dev", "installs npm: package.json, fills node_modules"},
		{"npm ci --prefix web", "unknown"},
		{"npm ci --omit dev --fetch-retries 5", "installs npm: package.json, fills node_modules"},
		{"yarn install --frozen-lockfile --network-timeout 1000000", "installs yarn: package.json, fills node_modules"},
		{"npm install -g pm2", "reads tools ~/.npmrc .npmrc ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh; writes tools ~/.npm ~/.cache ~/.local ~/.config"},
		{"npm install express", "unknown"},
		{"npm run build", "unknown"},
		{"python3 -m pip install flask==2", "reads tools ~/.config ~/.pip ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh; writes tools ~/.cache ~/.local /opt/venv /venv"},
		{"pip install ./lib", "unknown"},
		{"pip install lib/", "unknown"},
		{"/usr/bin/pip3 install -r requirements.txt", "installs pip: , fills "},
		{"./pip install flask", "unknown"},
		{"python -m venv /venv", "reads tools; writes /venv"},
		{"mkdir -p /app/data tmp", "reads ; writes /app/data tmp"},
		{"mkdir -m 700 /x", "reads ; writes /x"},
		{"chown -R node:node /app", "reads /etc/passwd /etc/group /app; writes /app"},
		{"rm -rf /var/lib/apt/lists/*", "reads /var/lib/apt/lists/*; writes /var/lib/apt/lists/*"},
		{"ln -s /a /b", "reads ; writes /b"},
		{"cp a b /c", "reads a b; writes /c"},
		{"mv a b /c", "reads a b; writes a b /c"},
		{"tar xzf /tmp/a.tgz -C /opt", "reads tools /tmp/a.tgz; writes /opt"},
		{"tar -C /opt --strip-components=1 -xf a.tar", "reads tools a.tar; writes /opt"},
		{"tar xzf a.tgz", "reads tools a.tgz; writes ."},
		{"tar -czf a.tgz /opt", "unknown"},
		{"tar xz -P", "unknown"},
		{"unzip -q /tmp/a.zip -d /opt", "reads tools /tmp/a.zip; writes /opt"},
		{"dpkg -i /tmp/a.deb", "reads system /tmp/a.deb; writes system /opt /usr/local"},
		{"curl -fsSLo /usr/bin/x https://example.org/x", "reads tools ~/.curlrc ~/.netrc ~/.config; writes /usr/bin/x"},
		{"curl -fsSLO https://example.org/x?y#z", "reads tools ~/.curlrc ~/.netrc ~/.config; writes ./x"},
		{"curl -fsSL --remote-name-all https://example.org/a https://example.org/$B.tgz", "reads tools ~/.curlrc ~/.netrc ~/.config; writes ./a ./$B.tgz"},
		{"curl -O --output-dir /tmp $URL", "reads tools ~/.curlrc ~/.netrc ~/.config; writes /tmp/$"},
		{"curl -o x --output-dir /tmp https://example.org/x", "unknown"},
		{"curl -sJO https://example.org/x", "unknown"},
		{"wget -qO- https://example.org/x", "reads tools ~/.wgetrc ~/.netrc; writes "},
		{"wget https://example.org/x", "reads tools ~/.wgetrc ~/.netrc; writes ./x"},
		{"wget -q -P /tmp/ https://example.org/a/$V.zip", "reads tools ~/.wgetrc ~/.netrc; writes /tmp//$V.zip"},
		{"wget https://example.org", "reads tools ~/.wgetrc ~/.netrc; writes ./index.html"},
		{"wget -r https://example.org/x", "unknown"},
		{"wget -i list", "unknown"},
		{"git clone --depth 1 -b v1 https://example.org/tool.git", "reads tools ~/.gitconfig ~/.config ~/.git-credentials ~/.netrc ~/.ssh; writes ./tool"},
		{"git clone https://example.org/tool.git /src/tool", "reads tools ~/.gitconfig ~/.config ~/.git-credentials ~/.netrc ~/.ssh; writes /src/tool"},
		{"git clone /app /src/tool", "unknown"},
		{"git clone file:///app /src/tool", "unknown"},
		{"git clone --template=/app/hooks https://example.org/tool.git", "unknown"},
		{"sed -i s/main/contrib/g /etc/x", "reads /etc/x; writes /etc/x"},
		{"sed -i.bak s/main/contrib/ /etc/x", "unknown"},
		{"sed -i -e /x/d -e 3d /etc/x", "reads /etc/x; writes /etc/x"},
		{"sed -ie s/main/contrib/ /etc/x", "unknown"},
		{"sed --in-place=x s/main/contrib/ /etc/x", "unknown"},
		{"curl -o /x file:///app/x", "unknown"},
		{"find -L /opt -name x", "unknown"},
		{"sed -n s/a/b/w/etc/y /etc/x", "unknown"},
		{"sed s/a/b/e /etc/x", "unknown"},
		{"sed r/app/x /etc/x", "unknown"},
		{"sed -n s,a,b,p /etc/x", "reads /etc/x; writes "},
		{"find /opt /srv -type f -name x", "reads /opt /srv; writes "},
		{"find -name x", "reads .; writes "},
		{"find /opt -name x -delete", "unknown"},
		{"install -d -o app /srv/data", "reads /etc/passwd /etc/group; writes /srv/data"},
		{"install -m 755 tool /opt/tool", "reads /etc/passwd /etc/group tool; writes /opt/tool"},
		{"install -Dm755 tool /opt/tool", "reads /etc/passwd /etc/group tool; writes /opt/tool"},
		{"install -t /opt tool", "unknown"},
		{"gpg --batch --verify x.sig x", "reads tools ~/.gnupg x.sig x; writes ~/.gnupg"},
		{"gpg --homedir /app --verify x.sig x", "unknown"},
		{"npx --yes playwright@1.48.0 install --with-deps chromium", "reads tools ~/.npmrc ^.npmrc ^package.json ^node_modules; writes tools ~/.npm ~/.cache ~/.local ~/.config"},
		{"npx playwright test", "unknown"},
		{"npx -p ./lib playwright install", "unknown"},
		{"command -v git", "reads tools; writes "},
		{"command git clone /app x", "unknown"},
		{"tee -a /etc/x", "reads ; writes /etc/x"},
		{"grep -q x /etc/y", "reads /etc/y; writes "},
		{"grep -e x /etc/y", "reads . /etc/y; writes "},
		{"grep -e x", "reads .; writes "},
		{"echo hello", "reads ; writes "},
		{"test -f /etc/x", "reads /etc/x; writes "},
		{"test -f $APP/x", "reads $APP/x; writes "},
		{"test -e $FILE", "reads $FILE; writes "},
		{"test -n $NAME", "reads ; writes "},
		{"test $NAME = x", "reads ; writes "},
		{"echo *.txt", "reads *.txt; writes "},
		{"id shop", "reads /etc/passwd /etc/group; writes "},
		{"pwd", "reads .; writes "},
		{"npm config set cafile /opt/ca.pem", "reads tools ~/.npmrc ~/.config /opt/ca.pem; writes tools ~/.npmrc ~/.config"},
		{"useradd -m -u 1000 app", "reads /etc; writes /etc /home /var/mail /var/log"},
		{"useradd -rmd /srv/app app", "reads /etc; writes /etc /home /var/mail /var/log /srv/app"},
		{"go install golang.org/x/tools/cmd/stringer@latest", "reads tools ~/.config ^go.mod ^go.work ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh; writes /go ~/go ~/.cache ~/.config"},
		{"go install ./cmd/x", "unknown"},
		{"make", "unknown"},
		{"go mod verify", "installs go: go.mod, fills "},
		{"go mod tidy", "unknown"},
		{"corepack prepare pnpm@9.1.0 --activate", "reads tools; writes ~/.cache"},
		{"corepack prepare --activate", "reads tools ^package.json ^.corepack.env; writes ~/.cache"},
		{"corepack install", "reads tools ^package.json ^.corepack.env; writes ~/.cache"},
		{"corepack prepare --output", "unknown"},
		{"corepack use pnpm@9", "unknown"},
		{"pnpm ci --prod", "installs pnpm: package.json, fills node_modules"},
		{"pnpm ci --lockfile", "unknown"}, // it would remove the lock file first
		{"npm pkg delete scripts.prepare", "reads tools ~/.npmrc ^.npmrc ^package.json ^node_modules; writes ~/.npm package.json"},
		{"npm pkg set type=module -w web", "unknown"},
		{"npm pkg set type=module --prefix=/app", "unknown"},
		{"npm pkg get version", "reads tools ~/.npmrc ^.npmrc ^package.json ^node_modules; writes ~/.npm"},
		{"php composer.phar install --no-dev", "installs composer: composer.json, fills vendor"},
		{"php -d memory_limit=-1 /usr/local/bin/composer install", "installs composer: composer.json, fills vendor"},
		{"php artisan install", "unknown"},
		{"pip install --group dev", "unknown"},
		{"pip install --cert ca.pem flask", "unknown"},
		{"pip install --log=pip.log flask", "reads tools ~/.config ~/.pip ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh pip.log; writes tools ~/.cache ~/.local /opt/venv /venv"},
		{"pip install -q --log pip.log flask", "reads tools ~/.config ~/.pip ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh pip.log; writes tools ~/.cache ~/.local /opt/venv /venv"},
		{"apt-get -c apt.conf install gcc", "reads system apt.conf; writes system /opt/google /opt/microsoft"},
		{"apt-get -c=apt.conf update", "reads packages apt.conf; writes packages"},
		{"apt-get update -o Dir::Etc::sourcelist=/app/x.list", "reads packages /app/x.list; writes packages"},
		{"apt-get update -o Dir::Etc::sourcelist=sources.list.d/x.list -o Acquire::http::Proxy=http://proxy:3128", "reads packages; writes packages"},
		{"apk add -X /app/packages -X https://example.org/main git", "reads packages /app/packages; writes packages /opt/google /opt/microsoft"},
		{"apk -p/app add git", "unknown"},
		{"pip install --log list flask", "reads tools ~/.config ~/.pip ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh list; writes tools ~/.cache ~/.local /opt/venv /venv"},
		{"pip install a-1.tar.bz2", "unknown"},
		{"apt-cache policy -o Dir=/app", "reads system Dir=/app /app; writes "},
		{"gem install rails", "reads tools ~/.gemrc *.gem; writes tools ~/.gem ~/.local ~/.cache"},
		{"adduser -D -h/app shop", "reads /etc; writes /etc /home /var/mail /var/log /app"},
		{"virtualenv -p /app/python /venv", "reads tools /app/python; writes /venv"},
		{"curl -w %output{/app/x} https://example.org", "reads tools ~/.curlrc ~/.netrc ~/.config /app/x; writes "},
		{"curl -o x FILE:///app/x", "unknown"},
		{"npm install -g tool@./lib", "unknown"},
		{"npm install @scope/tool@1 -g", "reads tools ~/.npmrc .npmrc ~/.gitconfig ~/.git-credentials ~/.netrc ~/.ssh; writes tools ~/.npm ~/.cache ~/.local ~/.config"},
		{"sha256sum -c sums", "unknown"},
		{"sha256sum --check sums", "unknown"},
		{"sha256sum a.tgz", "reads a.tgz; writes "},
		{"ls", "reads .; writes "},
		{"ls /opt", "reads . /opt; writes "},
		{"grep -rn x", "reads .; writes "},
		{"grep --file=words /etc/x", "reads . words /etc/x; writes "},
		{"wc --files0-from=list", "unknown"},
		{"date -r VERSION", "reads VERSION; writes "},
		{"date +%s --reference=VERSION", "reads VERSION; writes "},
		{"curl -o /x -d @body -H @headers https://example.org", "reads tools ~/.curlrc ~/.netrc ~/.config body headers; writes /x"},
		{"curl -o /x -E client.pem https://example.org", "unknown"},
		{"wget -qO /x --certificate=client.pem https://example.org", "reads tools ~/.wgetrc ~/.netrc client.pem; writes /x"},
		{"dnf install -y gcc", "reads system; writes system /opt/google /opt/microsoft"},
		{"dnf -y --setopt install_weak_deps=0 install gcc", "reads system; writes system /opt/google /opt/microsoft"},
		{"dnf --installroot=/mnt install -y gcc", "unknown"},
		{"dnf install -y ./local.rpm", "unknown"},
		{"yum -y install gcc", "reads system; writes system /opt/google /opt/microsoft"},
		{"microdnf install -y --nodocs tar gzip", "reads system; writes system /opt/google /opt/microsoft"},
		{"yum clean all", "reads system; writes system"},
		{"microdnf update", "reads system; writes system"},
		{"apk upgrade --no-cache", "reads system; writes system"},
		{"groupadd -r -g 1000 app", "reads /etc; writes /etc /home /var/mail /var/log"},
		{"addgroup -S app", "reads /etc; writes /etc /home /var/mail /var/log"},
		{"adduser -S -G app app", "reads /etc; writes /etc /home /var/mail /var/log"},
		{"adduser -D -h /srv/app app", "reads /etc; writes /etc /home /var/mail /var/log /srv/app"},
		{"adduser --system --home /srv/app app", "reads /etc; writes /etc /home /var/mail /var/log /srv/app"},
		{"adduser -D -k /app/skel app", "unknown"},
		{"useradd -D -b /srv", "unknown"},
		{"chmod -R u+x /app/bin", "reads /app/bin; writes /app/bin"},
		{"chmod --reference=a b", "unknown"},
		{"chown -L node /app", "unknown"},
		{"ln -sf ../a b c", "reads ; writes c"},
		{"ln a b", "reads a; writes b"},
		{"npm install", "installs npm: package.json, fills node_modules"},
		{"npm install --omit=dev --workspace web", "unknown"},
		{"yarn", "installs yarn: package.json, fills node_modules"},
		{"yarn --immutable", "installs yarn: package.json, fills node_modules"},
		{"yarn workspaces focus web --production", "installs yarn: package.json, fills node_modules"},
		{"yarn --cwd web install", "unknown"},
		{"yarn add express", "unknown"},
		{"pnpm i --frozen-lockfile", "installs pnpm: package.json, fills node_modules"},
		{"pnpm --filter web install", "unknown"},
		{"bun install --frozen-lockfile", "installs bun: package.json, fills node_modules"},
		{"bun install --cwd web", "unknown"},
		{"bun add express", "unknown"},
		{"corepack enable", "reads tools; writes tools ~/.cache"},
		{"uv sync --frozen --no-dev", "installs uv: pyproject.toml, fills .venv"},
		{"uv sync --directory web", "unknown"},
		{"uv pip install --system -r requirements.txt", "installs uv pip: , fills .venv"},
		{"uv add flask", "unknown"},
		{"poetry install --no-root --only main", "installs poetry: pyproject.toml, fills .venv"},
		{"poetry sync --no-root", "installs poetry: pyproject.toml, fills .venv"},
		{"poetry -C web install", "unknown"},
		{"poetry add flask", "unknown"},
		{"pipenv sync", "installs pipenv: Pipfile, fills .venv"},
		{"pipenv install --system --deploy", "installs pipenv: Pipfile, fills .venv"},
		{"pipenv install -e .", "unknown"},
		{"pipenv install flask", "unknown"},
		{"pdm sync --no-self", "installs pdm: pyproject.toml, fills .venv"},
		{"pdm install", "unknown"}, // it installs the project itself
		{"go mod download -x", "installs go: go.mod, fills "},
		{"go mod download -modfile=other.mod", "unknown"},
		{"cargo fetch --locked", "installs cargo: Cargo.toml, fills "},
		{"cargo fetch --manifest-path web/Cargo.toml", "unknown"},
		{"cargo build --release", "unknown"},
		{"mvn -B dependency:go-offline", "installs maven: pom.xml, fills "},
		{"mvn -f web/pom.xml dependency:go-offline", "unknown"},
		{"mvn package", "unknown"},
		{"gradle --no-daemon dependencies", "installs gradle: build.gradle build.gradle.kts, fills .gradle"},
		{"gradle dependencies --write-locks", "unknown"},
		{"gradle build", "unknown"},
		{"bundle install --jobs 4", "installs bundler: Gemfile, fills "},
		{"bundle install --without development test", "installs bundler: Gemfile, fills "},
		{"bundle install --gemfile web/Gemfile", "unknown"},
		{"composer install --no-dev --no-scripts", "installs composer: composer.json, fills vendor"},
		{"composer install -d web", "unknown"},
		{"composer require monolog/monolog", "unknown"},
		{"dotnet restore", "installs dotnet: , fills obj"},
		{"dotnet restore --configfile other.config", "unknown"},
		{"dotnet build", "unknown"},
		{"mix deps.get --only prod", "installs mix: mix.exs, fills deps"},
		{"mix deps.compile", "installs mix: mix.exs, fills _build"},
		{"mix compile", "unknown"},
		{"", "unknown"},
	} {
		got := "unknown"
		if e, ok := effects.Of(strings.Fields(c.command)); ok && e.Install != nil {
			got = "installs " + e.Install.Tool + ": " + strings.Join(e.Install.Manifests, " ") + ", fills " + e.Install.Makes
		} else if ok {
			got = "reads " + strings.Join(e.Reads, " ") + "; writes " + strings.Join(e.Writes, " ")
		}
		if got != c.want {
			t.Errorf("%q: %s\nwant %s", c.command, got, c.want)
		}
	}
}

// TestFlagsOfInstalls: what a flag that is not known to be something else names may be
// read by the install.
func TestFlagsOfInstalls(t *testing.T) {
	for command, file := range map[string]string{
		"npm ci --globalconfig=/app/npmrc":                "/app/npmrc",
		"npm ci --node-options=--require=./hook.js":       "./hook.js",
		"npm ci --script-shell=./sh":                      "./sh",
		"pnpm install --global-pnpmfile=./hooks.cjs":      "./hooks.cjs",
		"bun install --cafile=./ca.pem":                   "./ca.pem",
		"poetry install --no-root --some-new-flag=extras": "extras",
	} {
		if e, ok := effects.Of(strings.Fields(command)); !ok || !slices.Contains(e.Reads, file) {
			t.Errorf("%q reads %q: %v", command, e.Reads, ok)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, name := range []string{effects.System, effects.Tools} {
		p, ok := effects.PlacesOf(name)
		if !ok || len(p.Roots) == 0 || len(p.Except) == 0 {
			t.Errorf("%s stands for %v", name, p)
		}
	}
	if _, ok := effects.PlacesOf("/etc"); ok {
		t.Error("a path stands for places")
	}
}

// TestQuoted: what is quoted stands for itself, whatever a shell makes of it elsewhere.
func TestQuoted(t *testing.T) {
	for _, c := range []struct {
		words []string
		reads []string
	}{
		{[]string{"echo", "*.go"}, []string{"*.go"}},
		{[]string{"echo", effects.Quote("*.go")}, nil},
		{[]string{"echo", "~/x"}, []string{"~/x"}},
		{[]string{"echo", effects.Quote("~/x")}, nil},
		{[]string{"sed", effects.Quote("s/$/;/"), "x"}, []string{"x"}},
	} {
		e, ok := effects.Of(c.words)
		if !ok || !slices.Equal(e.Reads, c.reads) {
			t.Errorf("%q reads %q: %v", c.words, e.Reads, ok)
		}
	}
	if e, ok := effects.Of([]string{"curl", "-O", effects.Quote("https://example.org/x?y")}); !ok || !slices.Equal(e.Writes, []string{"./x"}) {
		t.Errorf("curl writes %q: %v", e.Writes, ok)
	}
	if text := "a*[b]? {c} $d ~"; effects.Unquote(effects.Quote(text)) != text || effects.Quotable(effects.Quote(text)) || !effects.Quotable(text) {
		t.Errorf("%q becomes %q", text, effects.Unquote(effects.Quote(text)))
	}
}
