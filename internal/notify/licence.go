package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const day = 24 * time.Hour

// licencePrefix begins the warning about a licence that is about to end.
const licencePrefix = "the licence ends within "

// licenceDays are the stages at which a licence that is about to end is told about.
func licenceDays() []int { return []int{1, 7, 14, 30} }

// LicenceWarning returns the warning for the status of a resource whose licence ends at ends, or "" where that is more
// than 30 days away, over, or not known (the zero time). The text changes only at 30, 14, 7 and 1 days, and is what
// Changes looks for: the status itself remembers what was told.
func LicenceWarning(ends, now time.Time) string {
	left := ends.Sub(now)
	if ends.IsZero() || left <= 0 {
		return ""
	}
	for _, days := range licenceDays() {
		if left <= time.Duration(days)*day {
			unit := "days"
			if days == 1 {
				unit = "day"
			}
			return fmt.Sprintf("%s%d %s, at %s; ask your vendor for the next one", licencePrefix, days, unit, ends.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// NextLicenceStage returns how long it takes until LicenceWarning changes, or 0 where it does not change any more.
func NextLicenceStage(ends, now time.Time) time.Duration {
	left := ends.Sub(now)
	if ends.IsZero() || left <= 0 {
		return 0
	}
	for _, days := range slices.Backward(licenceDays()) {
		if stage := time.Duration(days) * day; left > stage {
			return left - stage
		}
	}
	return left
}

// licenceWarning finds the warning among others.
func licenceWarning(warnings []string) string {
	for _, warning := range warnings {
		if strings.HasPrefix(warning, licencePrefix) {
			return warning
		}
	}
	return ""
}
