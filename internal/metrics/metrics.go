// Package metrics counts what the daemon observes, for Prometheus. docs/metrics.md lists
// the metrics.
//
// Labels are the roots of watched repositories, the names of their definitions, and a few
// constant words. They never have anything from a build arg, a variable or a file.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stokerd/stoker/cache"
)

// A Set has the metrics of one daemon. Make it with [New]. It is safe for concurrent use.
type Set struct {
	registry    *prometheus.Registry
	builds      *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	steps       *prometheus.CounterVec
	saved, lost *prometheus.CounterVec
	remote      *prometheus.CounterVec
	remoteSaved *prometheus.CounterVec
	transferred *prometheus.CounterVec
	predictions *prometheus.CounterVec
	digested    *prometheus.CounterVec
	unstored    prometheus.Gauge
}

// A Definition identifies a definition by the root of its repository and its name.
type Definition struct{ Repository, Name string }

// labels are the labels of most metrics, and the first ones of all that have more.
var labels = []string{"repository", "definition"}

// New returns a set in which all counters are 0. version is the version of the program. now
// returns the current values of gauges. It is called whenever metrics are read, from any
// goroutine.
func New(version string, now func() []Held) *Set {
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "stoker", Name: name, Help: help}, append(labels[:2:2], more...))
	}
	s := &Set{
		registry: prometheus.NewRegistry(),
		builds:   counter("builds_total", "Builds that ended, by any client.", "status"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "stoker", Name: "build_duration_seconds", Help: "Wall time of builds that succeeded.",
			Buckets: []float64{0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600},
		}, labels),
		steps:       counter("steps_total", "Dockerfile steps of builds, by what became of them.", "outcome"),
		saved:       counter("saved_seconds_total", "Time that reused steps took when they last ran."),
		lost:        counter("lost_seconds_total", "Time that steps took which ran again."),
		remote:      counter("remote_cache_seconds_total", "Time that builds spent on caches outside the builder.", "work"),
		remoteSaved: counter("remote_cache_saved_seconds_total", "Time that steps take when they run, of those that were or may have been imported.", "outcome"),
		transferred: counter("transferred_bytes_total", "Bytes that clients sent to the builder."),
		predictions: counter("predictions_total", "Steps that were predicted before a build of just that state, by how the prediction came out.", "result"),
	}
	s.digested = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "stoker", Name: "digested_bytes_total", Help: "Content of files that was read to know what steps take.",
	}, labels[:1])
	s.unstored = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "stoker", Name: "unstored_builds", Help: "Builds that ended and could not be stored yet.",
	})
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "stoker", Name: "build_info", Help: "The program that runs.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	s.registry.MustRegister(s.builds, s.duration, s.steps, s.saved, s.lost, s.remote, s.remoteSaved, s.transferred, s.predictions, s.digested,
		s.unstored, info, gauges(now),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Handler returns a handler that serves the metrics, in the format that the client accepts.
func (s *Set) Handler() http.Handler { return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}) }

// Built counts a build that ended, for which clients sent that many bytes. medians says how
// long its steps took in earlier builds, by instruction.
func (s *Set) Built(r cache.Record, sent int64, medians map[string]cache.Spread) {
	of := []string{r.Repository, r.Definition}
	s.builds.WithLabelValues(append(of[:2:2], string(r.Status))...).Inc()
	if r.Status == cache.Completed {
		s.duration.WithLabelValues(of...).Observe(max(0, r.Seconds()))
	}
	s.transferred.WithLabelValues(of...).Add(float64(max(0, sent)))
	for work, seconds := range map[string]float64{"export": r.Remote.Export, "import": r.Remote.Import, "fetch": r.Remote.Fetch} {
		if seconds > 0 {
			s.remote.WithLabelValues(append(of[:2:2], work)...).Add(seconds)
		}
	}
	for _, step := range r.Steps {
		s.steps.WithLabelValues(append(of[:2:2], string(step.Outcome))...).Inc()
		median, ran := medians[step.Instruction()]
		switch {
		case step.Outcome.Reused():
			s.saved.WithLabelValues(of...).Add(median.Median)
			if o := step.Outcome; o == cache.Imported || o == cache.Hit && r.Remote.Read {
				s.remoteSaved.WithLabelValues(append(of[:2:2], string(o))...).Add(median.Median)
			}
		case ran && step.Outcome.Ran():
			s.lost.WithLabelValues(of...).Add(max(0, step.Seconds))
		}
	}
}

// Digested counts the bytes of a repository's files that were read to be digested.
func (s *Set) Digested(repository string, bytes int64) {
	s.digested.WithLabelValues(repository).Add(float64(bytes))
}

// Unstored sets the number of builds that ended and could not be stored yet.
func (s *Set) Unstored(builds int) { s.unstored.Set(float64(builds)) }

// A Result says whether a prediction was right.
type Result string

// The results of predictions.
const (
	Right   Result = "right"
	Wrong   Result = "wrong"
	Unknown Result = "unknown" // the step was predicted as unknown
)

// Predicted counts the prediction of one step.
func (s *Set) Predicted(d Definition, r Result) {
	s.predictions.WithLabelValues(d.Repository, d.Name, string(r)).Inc()
}

// Held has the current values of the gauges of a definition.
type Held struct {
	Definition
	ContextBytes, SentBytes int64
	Warmth                  string // its state: see api.Warmth
}

// gauges is a collector that asks for the current values when metrics are read.
type gauges func() []Held

var _ prometheus.Collector = gauges(nil)

var (
	contextBytes = prometheus.NewDesc("stoker_context_bytes", "Size of the effective build context.", labels, nil)
	sentBytes    = prometheus.NewDesc("stoker_sent_bytes", "Size of what the steps ask for of the build context.", labels, nil)
	warm         = prometheus.NewDesc("stoker_warm", "1 for the state in which the definition's cache is kept.", append(labels[:2:2], "state"), nil)
)

// Describe implements prometheus.Collector.
func (gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{contextBytes, sentBytes, warm} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	for _, h := range g() {
		out <- prometheus.MustNewConstMetric(contextBytes, prometheus.GaugeValue, float64(h.ContextBytes), h.Repository, h.Name)
		out <- prometheus.MustNewConstMetric(sentBytes, prometheus.GaugeValue, float64(h.SentBytes), h.Repository, h.Name)
		out <- prometheus.MustNewConstMetric(warm, prometheus.GaugeValue, 1, h.Repository, h.Name, h.Warmth)
	}
}
