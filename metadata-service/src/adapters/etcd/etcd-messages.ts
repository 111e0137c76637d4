/**
 * The messages of etcd's API (https://etcd.io/docs/v3.4/dev-guide/api_reference_v3/) as far as Cairn uses them, in the
 * form in which the loader of their definition takes and gives them: whatever has its default value may be left out.
 */

export interface EtcdHeader {
  readonly revision?: number
}

export interface EtcdKeyValue {
  readonly key: Buffer
  readonly create_revision?: number
  readonly mod_revision?: number
  readonly version?: number
  readonly value?: Buffer
}

export interface RangeRequest {
  readonly key: Uint8Array
  readonly range_end?: Uint8Array
  readonly limit?: number
  /** 0 or absent: the newest. */
  readonly revision?: number
  /** 2: descending. */
  readonly sort_order?: 2
  readonly keys_only?: boolean
  readonly count_only?: boolean
}

export interface RangeResponse {
  readonly header?: EtcdHeader
  readonly kvs?: readonly EtcdKeyValue[]
  readonly more?: boolean
  /** Keys of the whole range, whatever the limit. */
  readonly count?: number
}

export interface PutRequest {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly lease?: number
}

export interface DeleteRangeRequest {
  readonly key: Uint8Array
  readonly range_end?: Uint8Array
}

/** Numbers of `Compare.CompareTarget`. */
export const TARGET = { version: 0, create: 1, mod: 2, value: 3 } as const

/** Numbers of `Compare.CompareResult`. */
export const RESULT = { equal: 0, greater: 1, less: 2 } as const

export interface EtcdCompare {
  readonly key: Uint8Array
  readonly range_end?: Uint8Array
  readonly target: number
  readonly result: number
  readonly create_revision?: number
  readonly mod_revision?: number
  readonly value?: Uint8Array
}

export interface RequestOp {
  readonly request_range?: RangeRequest
  readonly request_put?: PutRequest
  readonly request_delete_range?: DeleteRangeRequest
  readonly request_txn?: TxnRequest
}

export interface TxnRequest {
  readonly compare?: readonly EtcdCompare[]
  readonly success?: readonly RequestOp[]
  readonly failure?: readonly RequestOp[]
}

export interface ResponseOp {
  readonly response_range?: RangeResponse
  readonly response_txn?: TxnResponse
}

export interface TxnResponse {
  readonly header?: EtcdHeader
  readonly succeeded?: boolean
  readonly responses?: readonly ResponseOp[]
}

export interface WatchCreateRequest {
  readonly key: Uint8Array
  readonly range_end: Uint8Array
  readonly start_revision: number
  readonly progress_notify: boolean
  readonly fragment: boolean
}

export interface WatchRequest {
  readonly create_request?: WatchCreateRequest
}

export interface EtcdEvent {
  /** 1: the row was deleted. */
  readonly type?: number
  readonly kv: EtcdKeyValue
}

export interface WatchResponse {
  readonly header?: EtcdHeader
  readonly created?: boolean
  readonly canceled?: boolean
  readonly compact_revision?: number
  readonly cancel_reason?: string
  readonly fragment?: boolean
  readonly events?: readonly EtcdEvent[]
}

export interface LeaseGrantRequest {
  /** Seconds. */
  readonly TTL: number
  readonly ID: number
}

export interface LeaseAnswer {
  /** Seconds; 0 or absent when the lease has ended. */
  readonly TTL?: number
}

/** Numbers of the maintenance methods above 2^53 are possible (ids), so all of them come as text. */
export interface StatusResponse {
  readonly header?: { readonly member_id?: string }
  readonly leader?: string
  /** Bytes of the file. */
  readonly dbSize?: string
  /** Of these, bytes that hold something. */
  readonly dbSizeInUse?: string
  /** Of etcd 3.6 and later. */
  readonly dbSizeQuota?: string
  /** Alarms among them. */
  readonly errors?: readonly string[]
}

export interface AlarmRequest {
  /** 0: tell, 2: end. */
  readonly action: number
  readonly memberID?: string
  readonly alarm?: number
}

export interface AlarmResponse {
  /** 1: no space. */
  readonly alarms?: readonly { readonly memberID: string; readonly alarm: number }[]
}

/** Request and response of each method. */
export interface EtcdMethods {
  readonly txn: [TxnRequest, TxnResponse]
  readonly range: [RangeRequest, RangeResponse]
  readonly compact: [
    { readonly revision: number; readonly physical?: boolean },
    { readonly header?: EtcdHeader },
  ]
  readonly watch: [WatchRequest, WatchResponse]
  readonly leaseGrant: [LeaseGrantRequest, LeaseAnswer]
  readonly leaseRevoke: [{ readonly ID: number }, { readonly header?: EtcdHeader }]
  readonly leaseKeepAlive: [{ readonly ID: number }, LeaseAnswer]
  readonly authenticate: [{ readonly name: string; readonly password: string }, { readonly token?: string }]
  readonly status: [object, StatusResponse]
  readonly defragment: [object, object]
  readonly alarm: [AlarmRequest, AlarmResponse]
}

export type EtcdMethod = keyof EtcdMethods
export type EtcdRequest<M extends EtcdMethod> = EtcdMethods[M][0]
export type EtcdResponse<M extends EtcdMethod> = EtcdMethods[M][1]
