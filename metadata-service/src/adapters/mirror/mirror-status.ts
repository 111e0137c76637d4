/** What is to be seen of a mirror from outside. */

/** Where the mirror tells what happens to it; a pino logger fits. */
export interface MirrorLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface MirrorStatus {
  /** It answers reads only while it is `following`; `rebuilding` is a fill that is not the first. */
  readonly state: 'filling' | 'following' | 'rebuilding'
  readonly appliedRevision: number
  /** Entries of the store, as of the last look, that are not applied yet. */
  readonly lagEntries: number
  readonly rows: number
  /** Reads that the mirror and the store have answered. */
  readonly readsHere: number
  readonly readsThere: number
  /** Times that changes were asked for anew, and that everything was read anew. */
  readonly resumes: number
  readonly rebuilds: number
  /** Ranges compared with the store, and those that differed. */
  readonly audits: number
  readonly mismatches: number
}
