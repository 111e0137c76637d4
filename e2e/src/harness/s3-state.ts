/**
 * All that S3 shows of a bucket, in one map: versions with their bytes and tags, delete markers, uploads with their
 * parts.
 */
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListPartsCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { sha256 } from './seeded.js'

/** What is shown, by what it is of. Two are compared by `compareTrees`. */
export async function readBucketState(s3: S3Client, Bucket: string): Promise<Map<string, string>> {
  const state = new Map<string, string>()
  const {
    Versions = [],
    DeleteMarkers = [],
    IsTruncated,
  } = await s3.send(new ListObjectVersionsCommand({ Bucket }))
  if (IsTruncated === true) throw new Error('more than one page of versions')
  for (const { Key, VersionId, IsLatest } of DeleteMarkers)
    state.set(`marker ${Key} ${VersionId}`, String(IsLatest))
  for (const { Key, VersionId, IsLatest, ETag, LastModified } of Versions) {
    const place = { Bucket, Key, VersionId }
    const found = await s3.send(new GetObjectCommand(place))
    const bytes = (await found.Body?.transformToByteArray()) ?? new Uint8Array()
    const { TagSet } = await s3.send(new GetObjectTaggingCommand(place))
    const shown = { IsLatest, ETag, LastModified, TagSet, type: found.ContentType, own: found.Metadata }
    state.set(`version ${Key} ${VersionId}`, JSON.stringify({ ...shown, sha256: sha256(bytes) }))
  }
  for (const { Key, UploadId } of (await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ??
    []) {
    const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }))
    state.set(`upload ${Key} ${UploadId}`, JSON.stringify(Parts))
  }
  return state
}
