package preflight

import (
	"context"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
)

// renewTime is how long before its end a licence is warned of: a purchase takes weeks.
const renewTime = 30 * 24 * time.Hour

func (r *run) licence(context.Context) Check { return judgeLicence(r.Licence, r.Now()) }

func judgeLicence(verdict LicenceVerdict, now time.Time) Check {
	if !verdict.Present && verdict.Err == nil {
		return idle(Licence, "no layer sets a licence")
	}
	if verdict.Err != nil {
		message := fault.Message(verdict.Err)
		switch fault.Reason(verdict.Err, "") {
		case license.ReasonIssuerUnknown:
			return passed(Licence, "well formed; its issuer is not known here, so the deploy server decides")
		case license.ReasonExpired, license.ReasonNotYetValid:
			return warning(Licence, "%s", message)
		case license.ReasonMalformed, license.ReasonSignatureInvalid, appsv1.ReasonLicenseSecretNotFound:
			return failed(Licence, "%s", message)
		default:
			return skipped(Licence, "the licence could not be read: %s", message)
		}
	}
	left := verdict.ExpiresAt.Sub(now)
	switch {
	case verdict.ExpiresAt.IsZero():
		return passed(Licence, "the licence is good")
	case left < renewTime:
		return warning(Licence, "the licence ends on %s. Ask the vendor for the next one, and set global.license.", verdict.ExpiresAt.UTC().Format(time.DateOnly))
	default:
		return passed(Licence, "the licence is good until %s", verdict.ExpiresAt.UTC().Format(time.DateOnly))
	}
}
