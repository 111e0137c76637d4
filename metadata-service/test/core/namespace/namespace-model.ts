/** What the namespace should look like: the naive model of the property test. */
import type { VersioningState } from '@cairn/protocol'

export interface ModelVersion {
  versionId: string
  readonly deleteMarker: boolean
  readonly etag: string
  /** Name of the map; empty without blocks. */
  readonly map: string
}

export class ModelBucket {
  readonly space: Uint8Array
  versioning: VersioningState = 'unset'
  /** Newest first. */
  readonly keys: Map<string, ModelVersion[]> = new Map()

  constructor(space: Uint8Array) {
    this.space = space
  }

  versions(key: string): ModelVersion[] {
    return this.keys.get(key) ?? []
  }

  current(key: string): ModelVersion | undefined {
    return this.versions(key)[0]
  }

  write(key: string, version: ModelVersion): void {
    const isNull = this.versioning !== 'enabled'
    const kept = isNull
      ? this.versions(key).filter(({ versionId }) => versionId !== 'null')
      : this.versions(key)
    this.keys.set(key, [version, ...kept])
  }

  remove(key: string, versionId: string): void {
    const left = this.versions(key).filter((version) => version.versionId !== versionId)
    if (left.length > 0) this.keys.set(key, left)
    else this.keys.delete(key)
  }

  sortedKeys(): string[] {
    return [...this.keys.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }

  listing(): { key: string; etag: string }[] {
    const shown: { key: string; etag: string }[] = []
    for (const key of this.sortedKeys()) {
      const current = this.current(key)
      if (current !== undefined && !current.deleteMarker) shown.push({ key, etag: current.etag })
    }
    return shown
  }

  allVersions(): (ModelVersion & { key: string; isLatest: boolean })[] {
    return this.sortedKeys().flatMap((key) =>
      this.versions(key).map((version, at) => ({ ...version, key, isLatest: at === 0 })),
    )
  }
}
