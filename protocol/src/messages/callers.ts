/**
 * Who may call what. ● The role is the one that the peer proved in its handshake; whatever it is not allowed to call
 * is refused before its request is decoded. A method without an entry stops the program at its start.
 */

/** What a process is in a cluster. A `client` is a program that uses the client library by itself. */
export type Role = 'metadata' | 'chunk' | 'gateway' | 'client'

const WRITERS: readonly Role[] = ['gateway', 'client']
const READERS: readonly Role[] = ['gateway', 'client', 'chunk', 'metadata']
const GATEWAY: readonly Role[] = ['gateway']
const CHUNK: readonly Role[] = ['chunk']
const METADATA: readonly Role[] = ['metadata']

const CALLERS: Readonly<Record<string, readonly Role[]>> = {
  OpenSession: WRITERS,
  RenewSession: WRITERS,
  CloseSession: WRITERS,
  MoveSession: WRITERS,
  GetClusterMap: READERS,
  // Whoever has keys makes tokens by himself.
  GetBlockTokens: ['client'],
  RegisterServer: CHUNK,
  Heartbeat: CHUNK,
  CreateBucket: WRITERS,
  GetBucket: WRITERS,
  DeleteBucket: WRITERS,
  ListBuckets: WRITERS,
  SetBucketVersioning: WRITERS,
  GetBucketConfiguration: WRITERS,
  SetBucketConfiguration: WRITERS,
  PutObject: WRITERS,
  GetObject: WRITERS,
  DeleteObjects: WRITERS,
  CopyObject: WRITERS,
  ListObjects: WRITERS,
  ListVersions: WRITERS,
  SetObjectTags: WRITERS,
  CreateUpload: WRITERS,
  GetUpload: WRITERS,
  PutPart: WRITERS,
  ListParts: WRITERS,
  ListUploads: WRITERS,
  FreezeUpload: WRITERS,
  CompleteUpload: WRITERS,
  AbortUpload: WRITERS,
  ThawUpload: WRITERS,
  // One metadata service passes these on to another.
  ReportBlocks: ['gateway', 'client', 'metadata'],
  // A program could have any server taken for slow.
  ReportSpeeds: ['gateway', 'metadata'],
  GetStatus: ['gateway', 'client', 'metadata'],
  StartCheck: ['gateway', 'metadata'],
  GetCheck: ['gateway', 'metadata'],
  AcceptRestore: GATEWAY,
  ChangeDrives: GATEWAY,
  FeatureLevel: GATEWAY,
  PutBlock: WRITERS,
  GetBlock: READERS,
  DeleteBlocks: METADATA,
  ListBlocks: METADATA,
  ListWriters: METADATA,
  ReportDrives: METADATA,
  FindBlocks: METADATA,
  CopyBlock: METADATA,
  VerifyBlocks: METADATA,
}

/** Roles that may call a method, by its name. Throws for a name without an entry, so that none can be forgotten. */
export function callersOf(name: string): readonly Role[] {
  const callers = CALLERS[name]
  if (callers === undefined) throw new Error(`nobody has said who may call ${name}`)
  return callers
}
