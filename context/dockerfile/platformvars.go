package dockerfile

import (
	"cmp"

	"github.com/containerd/platforms"
)

// PlatformVariables returns the variables that a Dockerfile has of the platform that
// builds and the one that is built for ("linux/arm64"), as they are where no build arg of
// the same name replaces one (BuildKit: dockerfile2llb.defaultArgs). Each platform is
// that of this program if it is empty; there are none if one is not understood.
func PlatformVariables(builds, target string) map[string]string {
	variables := map[string]string{}
	for prefix, platform := range map[string]string{"BUILD": builds, "TARGET": target} {
		p, err := platforms.Parse(cmp.Or(platform, platforms.DefaultString()))
		if err != nil {
			return nil
		}
		variables[prefix+"PLATFORM"], variables[prefix+"OS"], variables[prefix+"ARCH"], variables[prefix+"VARIANT"] = platforms.Format(p), p.OS, p.Architecture, p.Variant
	}
	return variables
}
