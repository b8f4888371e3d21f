package suggest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// versionedName matches names of images that contain their version.
var versionedName = regexp.MustCompile(`[-_]?(debian|alpine|ubuntu|ubi|rhel|bookworm|trixie)?\d+$`)

// pin tells of images that are used in whatever version is the newest. See docs/rules/pin.md.
func pin(in Input) []Suggestion {
	var list []Suggestion
	add := func(ins dockerfile.Instruction, ref string) {
		for _, s := range list {
			if s.Lines == ins.Lines {
				return
			}
		}
		list = append(list, Suggestion{
			Rule: "pin", Title: "say which version of " + imageName(ref) + " is meant", Lines: ins.Lines, Proof: Advice,
			Evidence: fmt.Sprintf("`%s` takes whatever is newest: a release elsewhere changes the image, and repeats every step on top of it, without a change here.", short(ins.Text)),
			Obstacle: "which version is yours to choose: write a tag, or a digest",
		})
	}
	for _, b := range in.Builds {
		if b.Plan == nil {
			continue
		}
		needed := reachable(in.File, b.Target)
		for _, st := range in.File.Stages {
			if !needed[st.Index] {
				continue
			}
			if st.BaseStage < 0 && floats(b, st.Base) {
				add(st.From, st.Base)
			}
			for _, ins := range st.Instructions {
				if ins.Copy != nil && ins.Copy.From != "" && in.File.StageOf(ins.Copy.From) < 0 && floats(b, ins.Copy.From) {
					add(ins, ins.Copy.From)
				}
			}
		}
	}
	return list
}

// floats reports whether an image is written without a version, and a build takes it from a
// registry.
func floats(b Build, ref string) bool {
	if !strings.Contains(ref, "/") && !slices.Contains(officialImages(), imageName(ref)) {
		return false // not in a registry: it was built here, or is a named context
	}
	if strings.ContainsAny(ref, "$@") || ref == "scratch" || versionedName.MatchString(imageName(ref)) {
		return false
	}
	if name := untagged(ref); name != ref && ref != name+":latest" {
		return false
	}
	return slices.ContainsFunc(b.Plan.Bases, func(base dockerfile.Base) bool {
		return strings.HasSuffix(base.Ref, imageName(ref)+":latest")
	})
}

// officialImages returns the names of the images in Docker's own library. Only Docker publishes
// names without an owner at Docker Hub.
func officialImages() []string {
	return strings.Fields(`
		adminer aerospike almalinux alpine alt amazoncorretto amazonlinux api-firewall arangodb archlinux backdrop bash bonita buildpack-deps
		busybox caddy cassandra centos chronograf cirros clearlinux clefos clickhouse clojure composer consul convertigo couchbase couchdb crate
		dart debian docker drupal eclipse-mosquitto eclipse-temurin eggdrop elasticsearch elixir emqx erlang express-gateway fedora flink
		fluentd friendica gazebo gcc geonetwork ghost golang gradle groovy haproxy haskell haxe hello-world hitch httpd hylang
		ibm-semeru-runtimes ibmjava influxdb irssi java jetty jobber joomla jruby julia kapacitor kibana kong krakend lightstreamer liquibase
		logstash mageia mariadb matomo maven mediawiki memcached mongo mongo-express monica mono mysql nats nats-streaming neo4j neurodebian
		nextcloud nginx node notary nuxeo odoo open-liberty openjdk opensuse oraclelinux orientdb percona perl photon php php-zendserver
		phpmyadmin plone postfixadmin postgres pypy python r-base rabbitmq rakudo-star redis redmine registry rethinkdb rocket.chat rockylinux
		ros ruby rust sapmachine satosa silverpeas sl solr sonarqube spark spiped storm swift swipl telegraf thrift tomcat tomee traefik
		ubuntu unit valkey varnish vault websphere-liberty wordpress xwiki yourls znc zookeeper`)
}

// untagged returns a reference without its tag.
func untagged(ref string) string {
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		return ref[:i]
	}
	return ref
}
