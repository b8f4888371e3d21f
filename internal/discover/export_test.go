package discover

import "flag"

// Update has the tests write what they compare with.
var Update = flag.Bool("update", false, "write testdata anew; for testdata/bake a real buildx prints it")
