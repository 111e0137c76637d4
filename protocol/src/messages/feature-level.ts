/** Messages of the feature level: who supports which, and raising it. */
import { boolean, integer, list, type Message, message, oneOf, optional, required, text } from '../message.js'

export type FeatureMemberKind = 'metadata' | 'chunk' | 'session'

/** A process that takes part in the cluster. */
export interface FeatureMember {
  readonly kind: FeatureMemberKind
  /** Name of a metadata service, id of a chunk server, role and name of a writer. */
  readonly name: string
  /** Highest feature level that it supports. */
  readonly level: number
}
export const FeatureMember: Message<FeatureMember> = message<FeatureMember>('FeatureMember', 1, {
  kind: required(1, oneOf<FeatureMemberKind>('metadata', 'chunk', 'session')),
  name: required(2, text),
  level: required(3, integer),
})

/** Members of a report at most; those of the lowest level come first. */
export const FEATURE_MEMBERS_MAX: number = 1000

/** Asks for a report, or for the level to be raised as far as any member supports it. Idempotent. */
export interface FeatureLevelRequest {
  readonly raise: boolean
}
export const FeatureLevelRequest: Message<FeatureLevelRequest> = message<FeatureLevelRequest>(
  'FeatureLevelRequest',
  1,
  { raise: required(1, boolean) },
)
export interface FeatureLevelReport {
  readonly level: number
  /** Announced: whoever supports less cannot join. */
  readonly target?: number
  readonly members: readonly FeatureMember[]
}
export const FeatureLevelReport: Message<FeatureLevelReport> = message<FeatureLevelReport>(
  'FeatureLevelReport',
  1,
  {
    level: required(1, integer),
    target: optional(2, integer),
    members: list(3, FeatureMember),
  },
)
