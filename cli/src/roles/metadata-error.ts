/** The metadata on disk cannot be used as it is; the message says which command mends it. Exit status 2. */
export class MetadataError extends Error {
  override readonly name = 'MetadataError'
}
