/** Messages of the cluster map: chunk servers announce themselves, everybody reads the map. */
import { ClusterMap, Member } from '../cluster-map.js'
import { integer, list, type Message, message, optional, required, text, texts } from '../message.js'
import { TokenKeys } from './block-tokens.js'
import { DriveReport } from './chunk.js'

export interface GetClusterMapRequest {
  /** Answered without a map when the epoch is still this one. */
  readonly knownEpoch?: number
}
export const GetClusterMapRequest: Message<GetClusterMapRequest> = message<GetClusterMapRequest>(
  'GetClusterMapRequest',
  1,
  { knownEpoch: optional(1, integer) },
)
export interface GetClusterMapResponse {
  readonly map?: ClusterMap
  /** Addresses of the metadata services that live. */
  readonly services?: readonly string[]
  /** For those that may make tokens. */
  readonly tokens?: TokenKeys
}
export const GetClusterMapResponse: Message<GetClusterMapResponse> = message<GetClusterMapResponse>(
  'GetClusterMapResponse',
  1,
  { map: optional(1, ClusterMap), services: optional(2, texts), tokens: optional(20, TokenKeys) },
)

/** A drive as its server found it. The place decides whether a new drive may take over an old one's groups. */
export interface DriveRegistration {
  readonly id: string
  readonly capacityBytes: number
  readonly path: string
  /** `st_dev` of the folder, and device and inode of its parent, as text. */
  readonly device: string
  readonly parent: string
}
export const DriveRegistration: Message<DriveRegistration> = message<DriveRegistration>(
  'DriveRegistration',
  1,
  {
    id: required(1, text),
    capacityBytes: required(2, integer),
    path: required(3, text),
    device: required(4, text),
    parent: required(5, text),
  },
)
/** A chunk server announces itself and all its drives; idempotent. */
export interface RegisterServerRequest {
  readonly member: Member
  readonly drives: readonly DriveRegistration[]
}
export const RegisterServerRequest: Message<RegisterServerRequest> = message<RegisterServerRequest>(
  'RegisterServerRequest',
  1,
  { member: required(1, Member), drives: list(2, DriveRegistration) },
)
export interface HeartbeatRequest {
  readonly server: string
  readonly reports: readonly DriveReport[]
}
export const HeartbeatRequest: Message<HeartbeatRequest> = message<HeartbeatRequest>('HeartbeatRequest', 1, {
  server: required(1, text),
  reports: list(2, DriveReport),
})
