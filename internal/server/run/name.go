package run

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// maxName is how many bytes the name of a project or a run may have.
const maxName = 128

var (
	adjectives = strings.Fields(`able amber ancient apt autumn bold brave breezy bright brisk bronze calm candid clear clever
		cosmic crimson crisp curious daily dapper dashing deep distant dry eager early easy electric elated fair faithful fancy
		fast feasible fiery fine firm fluent fresh frosty gentle giddy glad gleaming golden good graceful grand happy hardy
		hearty honest humble icy iconic jolly jumping keen kind lively logical lucky lunar magic major mild misty morning neat
		noble northern olive open peach pleasant polar polished proud quick quiet rapid rare robust rosy royal rural sandy
		scarlet serene sharp silver smooth snowy solar solid southern spring stellar still stoic summer sunny super swift tough
		toasty true twilight upbeat valiant vibrant vital vivid warm wild winter wise zesty`)
	nouns = strings.Fields(`acorn aspen aurora badger basin bay beacon bee bird blaze breeze brook bush canyon cedar cherry
		cloud comet coral cosmos creek cypress dawn deer delta dew dragon dream dune dusk eagle earth eclipse elm ember falcon
		feather fern field fire firefly fjord flower fog forest fox frog frost galaxy garden glacier glade glitter grass grove
		haze hill island jazz juniper lagoon lake lantern lark leaf lion lotus maple meadow mist moon moss mountain night oak
		oasis ocean orchid otter owl paper pebble pine planet plant plateau pond prairie puddle rain raven reef ridge river
		robin sea shadow shape sky smoke snow sound sparrow spruce star stone storm stream sun sunset surf swan terrain thunder
		tree tundra universe valley violet voice water wave willow wind wood yogurt`)
)

// displayName is a name that people can say, with the number of the run in its project.
func displayName(number int64) string {
	return fmt.Sprintf("%s-%s-%d", adjectives[rand.IntN(len(adjectives))], nouns[rand.IntN(len(nouns))], number)
}

// checkName refuses names of projects and runs that no address can hold.
func checkName(what, name string) error {
	problem := ""
	switch {
	case name == "":
		problem = "is empty"
	case len(name) > maxName:
		problem = fmt.Sprintf("is longer than %d bytes", maxName)
	case name == "." || name == "..":
		problem = "is no name but a folder"
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == unicode.ReplacementChar || unicode.IsControl(r) }):
		problem = "holds a slash, a control character or bytes that are no text"
	}
	if problem == "" {
		return nil
	}
	return &fault.Error{
		Reason: ReasonInvalid, Op: fmt.Sprintf("the name of the %s %s", what, problem),
		Hint: "Choose another: letters, digits, '_', '.' and '-' always work.",
	}
}
