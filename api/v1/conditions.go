package v1

// Condition types. All but Reconciling, Stalled and Drifted are good when True.
const (
	// ConditionReady: the sum of the others. The specification runs and its workloads serve.
	ConditionReady = "Ready"
	// ConditionLicenseValid: the licence is well formed, signed by a known key and not expired.
	ConditionLicenseValid = "LicenseValid"
	// ConditionChannelReachable: the deploy server answers, or is not needed.
	ConditionChannelReachable = "ChannelReachable"
	// ConditionSpecResolved: the layers gave one specification that the chart's schema accepts.
	ConditionSpecResolved = "SpecResolved"
	// ConditionPreflight: the cluster offers what the release needs.
	ConditionPreflight = "Preflight"
	// ConditionReleased: the specification was installed through Helm, and its workloads became ready.
	ConditionReleased = "Released"
	// ConditionUpToDate: what runs is what the highest layers ask for. False while an update waits for something.
	ConditionUpToDate = "UpToDate"
	// ConditionVerified: the release's own probe passed. Unknown where it declares none.
	ConditionVerified = "Verified"

	// ConditionReconciling: work is under way and expected to end by itself.
	ConditionReconciling = "Reconciling"
	// ConditionStalled: nothing happens any more until somebody changes something.
	ConditionStalled = "Stalled"
	// ConditionDrifted: objects of the release differ from what was installed.
	ConditionDrifted = "Drifted"
)

// Reasons of ConditionReady; where another condition stands in the way, Ready carries that condition's reason.
const (
	// ReasonReady: the specification runs and every workload is ready.
	ReasonReady = "Ready"
	// ReasonProgressing: work is under way: Helm runs, or workloads are starting.
	ReasonProgressing = "Progressing"
	// ReasonNamespaceNotGranted: the operator has no rights in the namespace of this resource.
	ReasonNamespaceNotGranted = "NamespaceNotGranted"
	// ReasonSuspended: spec.suspend is set.
	ReasonSuspended = "Suspended"
	// ReasonDeleting: the resource is being deleted, and its release uninstalled.
	ReasonDeleting = "Deleting"
	// ReasonInternalError: the operator met an error that it has no name for; it retries.
	ReasonInternalError = "InternalError"
)

// Reasons of ConditionLicenseValid.
const (
	// ReasonLicenseValid: signed by a known key, not expired.
	ReasonLicenseValid = "Valid"
	// ReasonLicenseExpired: its time is over; the application goes on running.
	ReasonLicenseExpired = "Expired"
	// ReasonLicenseNotYetValid: its time has not begun; most often the clock is wrong.
	ReasonLicenseNotYetValid = "NotYetValid"
	// ReasonLicenseMalformed: the text is no licence token.
	ReasonLicenseMalformed = "Malformed"
	// ReasonLicenseSignatureInvalid: the token names a known key but was not signed by it.
	ReasonLicenseSignatureInvalid = "SignatureInvalid"
	// ReasonLicenseRejected: the deploy server refused it.
	ReasonLicenseRejected = "Rejected"
	// ReasonLicenseMissing: no layer sets one.
	ReasonLicenseMissing = "Missing"
	// ReasonLicenseSecretNotFound: the Secret or key that global.licenseSecret names does not exist.
	ReasonLicenseSecretNotFound = "SecretNotFound"
	// ReasonLicenseIssuerUnknown: signed by somebody whose keys the operator does not have; the deploy server decides.
	ReasonLicenseIssuerUnknown = "IssuerUnknown"
)

// Reasons of ConditionChannelReachable.
const (
	// ReasonChannelReachable: the last request was answered.
	ReasonChannelReachable = "Reachable"
	// ReasonChannelUnreachable: no connection, or none that can be trusted.
	ReasonChannelUnreachable = "Unreachable"
	// ReasonChannelTimedOut: the server was reached and did not answer in time.
	ReasonChannelTimedOut = "TimedOut"
	// ReasonChannelClockSkewed: the clocks of server and cluster differ so much that certificates or licences look invalid.
	ReasonChannelClockSkewed = "ClockSkewed"
	// ReasonChannelRejected: the server refused the licence.
	ReasonChannelRejected = "Rejected"
	// ReasonChannelMalformedRelease: the answer is no release document.
	ReasonChannelMalformedRelease = "MalformedRelease"
	// ReasonChannelReleaseNotFound: the pinned release, or the channel, does not exist there.
	ReasonChannelReleaseNotFound = "ReleaseNotFound"
	// ReasonChannelServerError: the server answered with an error of its own.
	ReasonChannelServerError = "ServerError"
	// ReasonChannelSignatureInvalid: the answer is not signed by keys that the operator trusts.
	ReasonChannelSignatureInvalid = "SignatureInvalid"
	// ReasonChannelMetadataExpired: the signatures are older than they may be; somebody may be withholding newer ones.
	ReasonChannelMetadataExpired = "MetadataExpired"
	// ReasonChannelRollbackDetected: the answer is older than one that was accepted before.
	ReasonChannelRollbackDetected = "RollbackDetected"
	// ReasonChannelUnsigned: signatures are demanded, and the server offers none.
	ReasonChannelUnsigned = "Unsigned"
	// ReasonChannelTrustRootInvalid: the root of trust that the operator was given cannot be used.
	ReasonChannelTrustRootInvalid = "TrustRootInvalid"
	// ReasonChannelAirgapped: the operator is set never to ask.
	ReasonChannelAirgapped = "Airgapped"
	// ReasonChannelCached: the server is away, and its last answer is used.
	ReasonChannelCached = "Cached"
	// ReasonChannelNotAsked: no request was answered or failed yet.
	ReasonChannelNotAsked = "NotAsked"
)

// Reasons of ConditionSpecResolved.
const (
	// ReasonSpecResolved: the layers gave one valid specification.
	ReasonSpecResolved = "Resolved"
	// ReasonLayerInvalid: one layer cannot be read: no JSON, no object, or a path of unset that is none.
	ReasonLayerInvalid = "LayerInvalid"
	// ReasonTypeConflict: two layers hold values at one path of which one is a map and the other is not.
	ReasonTypeConflict = "TypeConflict"
	// ReasonChartInvalid: the chart has none of the three forms, or the file behind it is no chart.
	ReasonChartInvalid = "ChartInvalid"
	// ReasonChartMissing: no layer names a chart.
	ReasonChartMissing = "ChartMissing"
	// ReasonValuesInvalid: the values violate the chart's schema.
	ReasonValuesInvalid = "ValuesInvalid"
)

// Reasons of ConditionReleased.
const (
	// ReasonInstalled: the first revision was installed and its workloads are ready.
	ReasonInstalled = "Installed"
	// ReasonUpgraded: a later revision was installed and its workloads are ready.
	ReasonUpgraded = "Upgraded"
	// ReasonRolledBack: the last revision failed, and an earlier one runs again.
	ReasonRolledBack = "RolledBack"
	// ReasonChartNotFound: the repository, registry or folder holds no such chart or version.
	ReasonChartNotFound = "ChartNotFound"
	// ReasonRepositoryUnreachable: the chart's repository or registry does not answer, or refuses the credentials.
	ReasonRepositoryUnreachable = "RepositoryUnreachable"
	// ReasonChartNotAllowed: the chart's path or URL lies outside what the operator was set to accept.
	ReasonChartNotAllowed = "ChartNotAllowed"
	// ReasonPermissionMissing: the chart makes objects that the operator may not make.
	ReasonPermissionMissing = "PermissionMissing"
	// ReasonClusterObjectRefused: the chart makes objects outside the namespace of this resource.
	ReasonClusterObjectRefused = "ClusterObjectRefused"
	// ReasonHelmFailed: Helm gave up; the message holds its words.
	ReasonHelmFailed = "HelmFailed"
	// ReasonHelmLocked: a revision is pending although nobody works on it.
	ReasonHelmLocked = "HelmLocked"
	// ReasonWorkloadsNotReady: installed, but objects did not become ready in time.
	ReasonWorkloadsNotReady = "WorkloadsNotReady"
	// ReasonUninstallFailed: the release could not be removed.
	ReasonUninstallFailed = "UninstallFailed"
	// ReasonVerificationFailed: a check of the probe passed before the release and fails after it.
	ReasonVerificationFailed = "VerificationFailed"
	// ReasonRollbackUnsafe: the release failed, and an earlier one cannot read the data any more.
	ReasonRollbackUnsafe = "RollbackUnsafe"
	// ReasonRollbackFailed: the earlier release did not become ready either.
	ReasonRollbackFailed = "RollbackFailed"
	// ReasonPreflightFailed: a blocking check of the preflight failed, so that nothing was applied.
	ReasonPreflightFailed = "PreflightFailed"
)

// Reasons of ConditionUpToDate.
const (
	// ReasonUpToDate: what runs is what the layers ask for.
	ReasonUpToDate = "UpToDate"
	// ReasonUpdatePending: a newer specification is about to be installed.
	ReasonUpdatePending = "UpdatePending"
	// ReasonUpdateHeld: a newer specification waits for a repair, or for somebody else who works with Helm by hand.
	ReasonUpdateHeld = "UpdateHeld"
	// ReasonAwaitingApproval: the plan of a newer specification waits until somebody approves it.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonOutsideWindow: a newer specification waits until a window opens.
	ReasonOutsideWindow = "OutsideWindow"
	// ReasonReleaseFailed: the newer specification failed before, and is not tried again until something changes.
	ReasonReleaseFailed = "ReleaseFailed"
	// ReasonAdoptionNeedsConsent: a Helm release that somebody else made would have pods replaced when it is taken over.
	ReasonAdoptionNeedsConsent = "AdoptionNeedsConsent"
)

// Reasons of ConditionPreflight and ConditionVerified.
const (
	// ReasonPassed: every check passed.
	ReasonPassed = "Passed"
	// ReasonFailed: a check failed; the message names it.
	ReasonFailed = "Failed"
	// ReasonPassedWithWarnings: no check failed that blocks; the message names the others.
	ReasonPassedWithWarnings = "PassedWithWarnings"
	// ReasonNoProbe: the release declares no probe.
	ReasonNoProbe = "NoProbe"
	// ReasonProbeOff: spec.verify.enabled is false.
	ReasonProbeOff = "ProbeOff"
	// ReasonProbeUnusable: the probe ended without a report that can be read.
	ReasonProbeUnusable = "ProbeUnusable"
)

// Reasons of ConditionDrifted.
const (
	// ReasonInSync: the objects are as installed.
	ReasonInSync = "InSync"
	// ReasonObjectsChanged: somebody else changed or removed objects of the release.
	ReasonObjectsChanged = "ObjectsChanged"
	// ReasonForeignRevision: somebody else made the newest revision with Helm.
	ReasonForeignRevision = "ForeignRevision"
	// ReasonDriftOff: spec.drift.mode is Off.
	ReasonDriftOff = "DriftOff"
)
