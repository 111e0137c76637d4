/**
 * How full the members of etcd are. At its quota a member raises an alarm, under which etcd takes no write at all, not
 * even what would free space (every entry puts rows). So the store counts as short before that: from then on only what
 * frees space is written. Each member keeps a database of its own; the fullest counts.
 */
import { type CancelTimer, type Clock, hasCode, toCairnError } from '@cairn/protocol'
import type { StoreSpace } from '../../ports.js'
import type { EtcdConnection, EtcdLog, EtcdMemberCalls } from './etcd-connection.js'
import {
  QUOTA_BYTES_DEFAULT,
  QUOTA_LOOKS,
  SHORT_FRACTION,
  SPACE_LOOK_MS,
  SPACE_TIMEOUT_MS,
} from './etcd-limits.js'
import { findQuotaBytes } from './etcd-quota.js'

export interface EtcdSpaceOptions {
  readonly connection: EtcdConnection
  readonly clock: Clock
  readonly log?: EtcdLog
  /** Where a member does not tell its quota. */
  readonly quotaBytes?: number
}

/** Looks at all members every few seconds until it is stopped. */
export class EtcdSpace {
  private readonly options: EtcdSpaceOptions
  private readonly quotas = new Map<string, number>()
  private cancel: CancelTimer = () => undefined
  private isStopped = false
  private looks = 0
  /** etcd has refused an entry since the last look. */
  private hasRefused = false
  private known: readonly StoreSpace[] = []

  constructor(options: EtcdSpaceOptions) {
    this.options = options
    this.look()
  }

  /** As of the last look; members that did not answer are left out. */
  get members(): readonly StoreSpace[] {
    return this.known
  }

  get isShort(): boolean {
    return this.hasRefused || this.known.some(isFull)
  }

  /** etcd has refused an entry for want of space: known at once, and looked at soon. */
  noteRefused(): void {
    this.hasRefused = true
  }

  stop(): void {
    this.isStopped = true
    this.cancel()
  }

  private look(): void {
    this.ask()
      .catch((error: unknown) => {
        if (hasCode(error, 'ShuttingDown')) return
        this.options.log?.error({ err: toCairnError(error) }, 'etcd: its space is not known')
      })
      .finally(() => {
        if (!this.isStopped) this.cancel = this.options.clock.setTimer(SPACE_LOOK_MS, () => this.look())
      })
  }

  private async ask(): Promise<void> {
    const wasShort = this.isShort
    const isQuotaDue = this.looks++ % QUOTA_LOOKS === 0
    const found = await Promise.all(
      this.options.connection.members().map((member) => this.askMember(member, isQuotaDue)),
    )
    const members = found.filter((space) => space !== undefined)
    if (members.length > 0) {
      this.known = members
      this.hasRefused = false
    }
    if (this.isShort === wasShort) return
    const fields = { members: this.known }
    if (this.isShort) this.options.log?.error(fields, 'etcd is nearly full: only what frees space is written')
    else this.options.log?.info(fields, 'etcd has space again')
  }

  private async askMember(member: EtcdMemberCalls, isQuotaDue: boolean): Promise<StoreSpace | undefined> {
    const status = await member.ask('status', {}, SPACE_TIMEOUT_MS).catch((error: unknown) => {
      if (hasCode(error, 'OutcomeUnknown', 'ConnectionLost')) return undefined
      throw error
    })
    if (status === undefined) return undefined
    const { dbSize = '0', dbSizeInUse = dbSize, dbSizeQuota = '0', errors = [] } = status
    if (Number(dbSizeQuota) > 0) this.quotas.set(member.address, Number(dbSizeQuota))
    else if (isQuotaDue || !this.quotas.has(member.address)) await this.learnQuota(member)
    return {
      member: member.address,
      bytes: Number(dbSizeInUse),
      fileBytes: Number(dbSize),
      quotaBytes: this.quotas.get(member.address) ?? this.options.quotaBytes ?? QUOTA_BYTES_DEFAULT,
      isRefusing: errors.some((text) => text.includes('NOSPACE')),
    }
  }

  private async learnQuota(member: EtcdMemberCalls): Promise<void> {
    const quotaBytes = await findQuotaBytes(member, SPACE_TIMEOUT_MS)
    if (quotaBytes !== undefined) this.quotas.set(member.address, quotaBytes)
  }
}

function isFull({ bytes, quotaBytes, isRefusing }: StoreSpace): boolean {
  return isRefusing || bytes > SHORT_FRACTION * quotaBytes
}
