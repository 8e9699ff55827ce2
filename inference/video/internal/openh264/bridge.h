// Static helpers for cgo, which can neither call through openh264's method
// tables nor pass structs that hold pointers to Go memory.

#include <string.h>

#include "codec_api.h"

static int encoder_open(ISVCEncoder **out, int width, int height, int fps, int qp, int intra_period) {
  ISVCEncoder *e = NULL;
  if (WelsCreateSVCEncoder(&e) != 0 || e == NULL) return cmMallocMemeError;

  int quiet = WELS_LOG_QUIET;
  (*e)->SetOption(e, ENCODER_OPTION_TRACE_LEVEL, &quiet);

  SEncParamExt p;
  (*e)->GetDefaultParams(e, &p);
  p.iUsageType = CAMERA_VIDEO_REAL_TIME;
  p.iPicWidth = width;
  p.iPicHeight = height;
  p.fMaxFrameRate = fps;
  p.iRCMode = RC_OFF_MODE;  // the layer's QP, for every block of every frame
  p.bEnableAdaptiveQuant = false;
  p.bEnableBackgroundDetection = false;
  p.bEnableFrameSkip = false;
  p.uiIntraPeriod = intra_period;
  p.eSpsPpsIdStrategy = CONSTANT_ID;
  p.iEntropyCodingModeFlag = 0;  // the CABAC writer of 2.1.1 overruns its buffer on noise, CAVLC's checks it
  p.iMultipleThreadIdc = 1;

  SSpatialLayerConfig *l = &p.sSpatialLayers[0];
  l->iVideoWidth = width;
  l->iVideoHeight = height;
  l->fFrameRate = fps;
  l->iDLayerQp = qp;
  l->sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
  l->bVideoSignalTypePresent = true;
  l->uiVideoFormat = VF_UNDEF;
  l->bFullRange = false;
  l->bColorDescriptionPresent = true;
  l->uiColorPrimaries = CP_BT709;
  l->uiTransferCharacteristics = TRC_BT709;
  l->uiColorMatrix = CM_BT709;

  int rv = (*e)->InitializeExt(e, &p);
  if (rv != 0) {
    WelsDestroySVCEncoder(e);
    return rv;
  }
  *out = e;
  return 0;
}

static int encoder_encode(ISVCEncoder *e, int width, int height,
                          unsigned char *y, unsigned char *cb, unsigned char *cr,
                          int ystride, int cstride, SFrameBSInfo *info) {
  SSourcePicture pic;
  memset(&pic, 0, sizeof pic);
  memset(info, 0, sizeof *info);
  pic.iColorFormat = videoFormatI420;
  pic.iPicWidth = width;
  pic.iPicHeight = height;
  pic.iStride[0] = ystride;
  pic.iStride[1] = pic.iStride[2] = cstride;
  pic.pData[0] = y;
  pic.pData[1] = cb;
  pic.pData[2] = cr;
  return (*e)->EncodeFrame(e, &pic, info);
}

static void encoder_close(ISVCEncoder *e) {
  (*e)->Uninitialize(e);
  WelsDestroySVCEncoder(e);
}

static int decoder_open(ISVCDecoder **out) {
  ISVCDecoder *d = NULL;
  if (WelsCreateDecoder(&d) != 0 || d == NULL) return cmMallocMemeError;

  int quiet = WELS_LOG_QUIET;
  (*d)->SetOption(d, DECODER_OPTION_TRACE_LEVEL, &quiet);

  SDecodingParam p;
  memset(&p, 0, sizeof p);
  p.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
  int rv = (int)(*d)->Initialize(d, &p);
  if (rv != 0) {
    WelsDestroyDecoder(d);
    return rv;
  }
  *out = d;
  return 0;
}

// The planes written to info.pDst belong to the decoder, until its next call.
static int decoder_decode(ISVCDecoder *d, const unsigned char *data, int len, SBufferInfo *info) {
  unsigned char *planes[3] = {NULL, NULL, NULL};
  memset(info, 0, sizeof *info);
  return (*d)->DecodeFrameNoDelay(d, data, len, planes, info);
}

static SSysMEMBuffer decoder_picture(const SBufferInfo *info) { return info->UsrData.sSystemBuffer; }

static void decoder_close(ISVCDecoder *d) {
  (*d)->Uninitialize(d);
  WelsDestroyDecoder(d);
}
