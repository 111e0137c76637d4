/**
 * Parameters that choose neither an operation nor what it works on: the page of a listing, what carries a signature of
 * version 2, and what clients send along for their own sake.
 */
export const PLAIN_PARAMETERS: readonly string[] = [
  'AWSAccessKeyId',
  'Expires',
  'Signature',
  'bucket-region',
  'content-md5',
  'content-type',
  'continuation-token',
  'delimiter',
  'encoding-type',
  'fetch-owner',
  'key-marker',
  'marker',
  'max-buckets',
  'max-keys',
  'max-parts',
  'max-uploads',
  'part-number-marker',
  'prefix',
  'start-after',
  'upload-id-marker',
  'version-id-marker',
  'x-id',
]
