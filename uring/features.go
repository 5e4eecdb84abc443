//go:build linux

package uring

// The names of features, in Features and in NotSupportedError.
const (
	FeatureSetup             = "io_uring_setup"
	FeatureExtArg            = "EXT_ARG"
	FeatureSubmitAll         = "SUBMIT_ALL"
	FeatureSingleIssuer      = "SINGLE_ISSUER"
	FeatureDeferTaskrun      = "DEFER_TASKRUN"
	FeatureNoSQArray         = "NO_SQARRAY"
	FeatureNoIOWait          = "NO_IOWAIT"
	FeatureRegisteredRing    = "registered ring descriptor"
	FeatureCQESkip           = "CQE_SKIP_SUCCESS"
	FeatureBufRing           = "buffer ring"
	FeatureBufRingInc        = "incremental buffers"
	FeatureRecvMultishot     = "multishot receive"
	FeatureRecvMsgMultishot  = "multishot recvmsg"
	FeatureRecvBundle        = "receive bundles"
	FeatureAcceptMultishot   = "multishot accept"
	FeatureReadMultishot     = "multishot read"
	FeaturePollMultishot     = "multishot poll"
	FeatureReadFixed         = "fixed buffers on a socket"
	FeatureSendZC            = "zero-copy send"
	FeatureSyncCancel        = "synchronous cancel"
	FeatureCancelFD          = "cancel by descriptor"
	FeatureMsgRing           = "MSG_RING"
	FeatureSplice            = "splice"
	FeatureWaitid            = "waitid"
	FeatureDirectDescriptors = "direct descriptors"
	FeatureSocketUnsent      = "SIOCOUTQ"
)

// minKernels maps each feature to the first Linux that has it, according to the
// kernel's history and liburing's manual pages.
var minKernels = map[string]string{
	FeatureSetup:             "5.11", // io_uring itself is in 5.1, what New needs is in 5.11
	FeatureExtArg:            "5.11",
	FeatureSubmitAll:         "5.18",
	FeatureSingleIssuer:      "6.0",
	FeatureDeferTaskrun:      "6.1",
	FeatureNoSQArray:         "6.6",
	FeatureNoIOWait:          "6.15",
	FeatureRegisteredRing:    "5.18",
	FeatureCQESkip:           "5.17",
	FeatureBufRing:           "5.19",
	FeatureBufRingInc:        "6.12",
	FeatureRecvMultishot:     "6.0",
	FeatureRecvMsgMultishot:  "6.0",
	FeatureRecvBundle:        "6.10",
	FeatureAcceptMultishot:   "5.19",
	FeatureReadMultishot:     "6.7",
	FeaturePollMultishot:     "5.13",
	FeatureReadFixed:         "5.1",
	FeatureSendZC:            "6.0",
	FeatureSyncCancel:        "6.0",
	FeatureCancelFD:          "5.19",
	FeatureMsgRing:           "5.18",
	FeatureSplice:            "5.7",
	FeatureWaitid:            "6.7",
	FeatureDirectDescriptors: "5.19",
	FeatureSocketUnsent:      "6.5",
}

// notSupported returns err as the reason why a feature is missing.
func notSupported(feature string, err error) error {
	return &NotSupportedError{
		Feature:   feature,
		Err:       err,
		MinKernel: minKernels[feature],
		Remedy:    remedy(err),
	}
}
