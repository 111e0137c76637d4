/**
 * The messages of etcd's maintenance service, as far as Cairn uses them, with the field of 3.6 that the definition in
 * the etcd3 package does not have yet. Source: https://github.com/etcd-io/etcd/blob/main/api/etcdserverpb/rpc.proto
 */
import type { fromJSON } from '@grpc/proto-loader'

/** In the form of protobufjs. */
export const MAINTENANCE: Parameters<typeof fromJSON>[0] = {
  nested: {
    etcdserverpb: {
      nested: {
        Maintenance: {
          methods: {
            Status: { requestType: 'StatusRequest', responseType: 'StatusResponse', comment: '' },
            Defragment: { requestType: 'DefragmentRequest', responseType: 'DefragmentResponse', comment: '' },
            Alarm: { requestType: 'AlarmRequest', responseType: 'AlarmResponse', comment: '' },
          },
        },
        ResponseHeader: { fields: { member_id: { type: 'uint64', id: 2 } } },
        StatusRequest: { fields: {} },
        StatusResponse: {
          fields: {
            header: { type: 'ResponseHeader', id: 1 },
            dbSize: { type: 'int64', id: 3 },
            leader: { type: 'uint64', id: 4 },
            errors: { rule: 'repeated', type: 'string', id: 8 },
            dbSizeInUse: { type: 'int64', id: 9 },
            dbSizeQuota: { type: 'int64', id: 12 },
          },
        },
        DefragmentRequest: { fields: {} },
        DefragmentResponse: { fields: {} },
        AlarmRequest: {
          fields: {
            action: { type: 'int32', id: 1 },
            memberID: { type: 'uint64', id: 2 },
            alarm: { type: 'int32', id: 3 },
          },
        },
        AlarmMember: { fields: { memberID: { type: 'uint64', id: 1 }, alarm: { type: 'int32', id: 2 } } },
        AlarmResponse: { fields: { alarms: { rule: 'repeated', type: 'AlarmMember', id: 2 } } },
      },
    },
  },
}
