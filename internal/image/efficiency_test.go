package image_test

import (
	"math"
	"testing"

	"github.com/stokerd/stoker/internal/image"
)

func body(n int) string { return string(make([]byte, n)) }

// Each case is worked out by hand from dive's formula: per path the smallest of its sizes by all of them. The first one
// is dive's own published example (dive/filetree/efficiency_test.go), with folders that have entries, as in real layers,
// and without.
func TestEfficiencyIsDives(t *testing.T) {
	for name, c := range map[string]struct {
		layers     [][]file
		efficiency float64
		wasted     int64
		user       float64
	}{
		"published, implied folders": {
			layers: [][]file{
				{{name: "etc/nginx/nginx.conf", body: body(2000)}, {name: "etc/nginx/public", body: body(3000)}},
				{{name: "etc/nginx/nginx.conf", body: body(5000)}, {name: "etc/athing", body: body(10000)}},
				{{name: "etc/.wh.nginx"}},
			},
			// (2000 + 3000 + 10000 + 0) / (7000 + 3000 + 10000 + 0)
			efficiency: 0.75, wasted: 7000, user: 7000.0 / 15000,
		},
		"published, folders with entries": {
			layers: [][]file{
				{{name: "etc/"}, {name: "etc/nginx/"}, {name: "etc/nginx/nginx.conf", body: body(2000)}, {name: "etc/nginx/public", body: body(3000)}},
				{{name: "etc/nginx/nginx.conf", body: body(5000)}, {name: "etc/athing", body: body(10000)}},
				{{name: "etc/.wh.nginx"}},
			},
			// The folder that is deleted holds 8000, and counts on both sides.
			efficiency: 23.0 / 28, wasted: 7000, user: 7000.0 / 15000,
		},
		"nothing twice":   {layers: [][]file{{{name: "a", body: body(10)}}, {{name: "b", body: body(20)}}}, efficiency: 1},
		"an empty image":  {layers: [][]file{{}}, efficiency: 1},
		"one empty file":  {layers: [][]file{{{name: "nothing"}}}, efficiency: 1},
		"a copy":          {layers: [][]file{{{name: "a", body: body(30)}}, {{name: "a", body: body(30)}}}, efficiency: 0.5, wasted: 60, user: 2},
		"shrunk":          {layers: [][]file{{{name: "a", body: body(90)}}, {{name: "a", body: body(10)}}}, efficiency: 0.1, wasted: 100, user: 10},
		"a deleted file":  {layers: [][]file{{{name: "a", body: body(40)}, {name: "b", body: body(60)}}, {{name: ".wh.a"}}}, efficiency: 0.6, wasted: 40, user: 1},
		"deleted, back":   {layers: [][]file{{{name: "a", body: body(40)}}, {{name: ".wh.a"}}, {{name: "a", body: body(60)}}}, efficiency: 0, wasted: 100, user: 100.0 / 60},
		"in one layer":    {layers: [][]file{{{name: "a", body: body(40)}, {name: "a", body: body(60)}}}, efficiency: 1},
		"not in a folder": {layers: [][]file{{{name: "d/", body: ""}, {name: "d/a", body: body(50)}}, {{name: "d/"}}, {{name: "d/"}}}, efficiency: 1},
		"opaque hides nothing": {
			layers:     [][]file{{{name: "d/"}, {name: "d/a", body: body(50)}}, {{name: "d/"}, {name: "d/.wh..wh..opq"}, {name: "d/b", body: body(50)}}},
			efficiency: 1,
		},
		"a folder deleted twice": {
			layers: [][]file{
				{{name: "d/"}, {name: "d/a", body: body(50)}}, {{name: ".wh.d"}},
				{{name: "d/"}, {name: "d/a", body: body(70)}}, {{name: ".wh.d"}},
			},
			// d/a: 50 of 120; d: 50 of 120
			efficiency: 100.0 / 240, wasted: 240, user: 240.0 / 70,
		},
		"a hard link": {layers: [][]file{{{name: "a", body: body(50)}, {name: "b => a"}}, {{name: "b", body: body(50)}}}, efficiency: 0.5, wasted: 50, user: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var p picture
			for _, files := range c.layers {
				p.layers = append(p.layers, pack(t, files...))
			}
			a := analyse(t, one(t, p).tar(t), options(t, image.NoSecrets))
			if math.Abs(a.Efficiency-c.efficiency) > 1e-12 {
				t.Errorf("efficiency %v, want %v", a.Efficiency, c.efficiency)
			}
			if a.Wasted != c.wasted {
				t.Errorf("wasted %d, want %d", a.Wasted, c.wasted)
			}
			if math.Abs(a.UserWasted-c.user) > 1e-12 {
				t.Errorf("wasted of what is above the first layer %v, want %v", a.UserWasted, c.user)
			}
		})
	}
}
