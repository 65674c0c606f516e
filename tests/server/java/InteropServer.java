import com.google.protobuf.ByteString;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Grpc;
import io.grpc.KnownLength;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * gRPC's interop server on grpc-java: {@code InteropServer interop.descriptors [--port N] [--name NAME] [--max-streams N]}.
 *
 * <p>The first line on stdout is {@code LISTENING HOST:PORT}; SIGTERM ends it. Messages are read by their description, so that no
 * code is generated.
 */
final class InteropServer {
  private static final int LARGEST_REQUEST = 16 << 20;
  private static final Metadata.Key<String> INITIAL_KEY =
      Metadata.Key.of("x-grpc-test-echo-initial", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<byte[]> TRAILING_KEY =
      Metadata.Key.of("x-grpc-test-echo-trailing-bin", Metadata.BINARY_BYTE_MARSHALLER);
  private static final Context.Key<String> PEER = Context.key("peer");

  private final FileDescriptor file;
  private final String name;

  private InteropServer(FileDescriptor file, String name) {
    this.file = file;
    this.name = name;
  }

  public static void main(String[] arguments) throws Exception {
    FileDescriptorProto described = FileDescriptorSet.parseFrom(Files.readAllBytes(Path.of(arguments[0]))).getFile(0);
    Map<String, String> flags = new HashMap<>(Map.of("--port", "0", "--name", "grpc-java"));
    for (int at = 1; at < arguments.length; at += 2) flags.put(arguments[at], arguments[at + 1]);

    InteropServer service = new InteropServer(FileDescriptor.buildFrom(described, new FileDescriptor[0]), flags.get("--name"));
    int port = Integer.parseInt(flags.get("--port"));
    NettyServerBuilder builder = NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
        .maxInboundMessageSize(LARGEST_REQUEST)
        .addService(ServerInterceptors.intercept(service.definition(), new Echo()));
    if (flags.containsKey("--max-streams")) {
      builder.maxConcurrentCallsPerConnection(Integer.parseInt(flags.get("--max-streams")));
    }
    Server server = builder.build().start();
    System.out.println("LISTENING 127.0.0.1:" + server.getPort());
    server.awaitTermination();
  }

  private ServerServiceDefinition definition() {
    return ServerServiceDefinition.builder("grpc.testing.TestService")
        .addMethod(method("EmptyCall", MethodType.UNARY), ServerCalls.asyncUnaryCall(this::emptyCall))
        .addMethod(method("UnaryCall", MethodType.UNARY), ServerCalls.asyncUnaryCall(this::unaryCall))
        .addMethod(
            method("StreamingOutputCall", MethodType.SERVER_STREAMING),
            ServerCalls.asyncServerStreamingCall(this::streamingOutputCall))
        .addMethod(
            method("StreamingInputCall", MethodType.CLIENT_STREAMING),
            ServerCalls.asyncClientStreamingCall(this::streamingInputCall))
        .addMethod(
            method("FullDuplexCall", MethodType.BIDI_STREAMING), ServerCalls.asyncBidiStreamingCall(this::fullDuplexCall))
        .build();
  }

  private void emptyCall(Request request, StreamObserver<DynamicMessage> responses) {
    responses.onNext(message("Empty").build());
    responses.onCompleted();
  }

  private void unaryCall(Request request, StreamObserver<DynamicMessage> responses) {
    ServerCallStreamObserver<DynamicMessage> call = begin(responses);
    if (endsEarly(request, call)) return;
    DynamicMessage.Builder response = message("SimpleResponse");
    set(response, "payload", zeros(request.number("response_size")));
    set(response, "hostname", name);
    if ((boolean) request.field("fill_server_id")) set(response, "server_id", name);
    call.setMessageCompression(isTrue(request.body, "response_compressed"));
    call.onNext(response.build());
    call.onCompleted();
  }

  private void streamingOutputCall(Request request, StreamObserver<DynamicMessage> responses) {
    ServerCallStreamObserver<DynamicMessage> call = begin(responses);
    if (respond(request, call)) call.onCompleted();
  }

  private StreamObserver<Request> streamingInputCall(StreamObserver<DynamicMessage> responses) {
    ServerCallStreamObserver<DynamicMessage> call = begin(responses);
    return new Requests(call) {
      private int size;

      @Override
      boolean take(Request request) {
        size += request.payloadSize();
        return !endsEarly(request, call);
      }

      @Override
      void complete() {
        DynamicMessage.Builder response = message("StreamingInputCallResponse");
        set(response, "aggregated_payload_size", size);
        call.onNext(response.build());
      }
    };
  }

  private StreamObserver<Request> fullDuplexCall(StreamObserver<DynamicMessage> responses) {
    ServerCallStreamObserver<DynamicMessage> call = begin(responses);
    return new Requests(call) {
      @Override
      boolean take(Request request) {
        return respond(request, call);
      }
    };
  }

  /** The responses a request asks for; false when it ended the call. */
  private boolean respond(Request request, ServerCallStreamObserver<DynamicMessage> call) {
    if (endsEarly(request, call)) return false;
    for (Object each : (List<?>) request.field("response_parameters")) {
      DynamicMessage parameters = (DynamicMessage) each;
      DynamicMessage.Builder response = message("StreamingOutputCallResponse");
      set(response, "payload", zeros((int) field(parameters, "size")));
      if (isTrue(parameters, "fill_peer_socket_address")) set(response, "peer_socket_address", PEER.get());
      pause((int) field(parameters, "interval_us"));
      call.setMessageCompression(isTrue(parameters, "compressed"));
      call.onNext(response.build());
    }
    return true;
  }

  /** Whether the call ended with the status that was asked for, or because compression is not as was said. */
  private static boolean endsEarly(Request request, ServerCallStreamObserver<DynamicMessage> call) {
    if (request.has("response_status")) {
      DynamicMessage status = (DynamicMessage) request.field("response_status");
      String text = (String) field(status, "message");
      call.onError(Status.fromCodeValue((int) field(status, "code")).withDescription(text).asRuntimeException());
      return true;
    }
    if (request.has("expect_compressed") && isTrue(request.body, "expect_compressed") != request.isCompressed) {
      String came = request.isCompressed ? "compressed" : "not compressed";
      call.onError(Status.INVALID_ARGUMENT.withDescription("the message came " + came).asRuntimeException());
      return true;
    }
    return false;
  }

  private static ServerCallStreamObserver<DynamicMessage> begin(StreamObserver<DynamicMessage> responses) {
    ServerCallStreamObserver<DynamicMessage> call = (ServerCallStreamObserver<DynamicMessage>) responses;
    call.setCompression("gzip");
    // A client that has left is no event; without a handler what is sent to it would be an exception.
    call.setOnCancelHandler(() -> {});
    return call;
  }

  private static void pause(int micros) {
    try {
      if (micros > 0) Thread.sleep(micros / 1000, micros % 1000 * 1000);
    } catch (InterruptedException cause) {
      Thread.currentThread().interrupt();
    }
  }

  /** Takes the requests of a stream until one ends it. */
  private abstract static class Requests implements StreamObserver<Request> {
    private final StreamObserver<DynamicMessage> call;
    private boolean isOver;

    Requests(StreamObserver<DynamicMessage> call) {
      this.call = call;
    }

    abstract boolean take(Request request);

    void complete() {}

    @Override
    public void onNext(Request request) {
      isOver = isOver || !take(request);
    }

    @Override
    public void onError(Throwable cause) {}

    @Override
    public void onCompleted() {
      if (isOver) return;
      complete();
      call.onCompleted();
    }
  }

  private MethodDescriptor<Request, DynamicMessage> method(String called, MethodType type) {
    Descriptors.MethodDescriptor described = file.findServiceByName("TestService").findMethodByName(called);
    return MethodDescriptor.<Request, DynamicMessage>newBuilder()
        .setType(type)
        .setFullMethodName("grpc.testing.TestService/" + called)
        .setRequestMarshaller(new RequestMarshaller(described.getInputType()))
        .setResponseMarshaller(
            io.grpc.protobuf.ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(described.getOutputType())))
        .build();
  }

  private DynamicMessage.Builder message(String called) {
    return DynamicMessage.newBuilder(file.findMessageTypeByName(called));
  }

  private DynamicMessage zeros(int size) {
    DynamicMessage.Builder payload = message("Payload");
    set(payload, "body", ByteString.copyFrom(new byte[size]));
    return payload.build();
  }

  private static void set(DynamicMessage.Builder message, String called, Object value) {
    message.setField(message.getDescriptorForType().findFieldByName(called), value);
  }

  private static Object field(DynamicMessage message, String called) {
    return message.getField(message.getDescriptorForType().findFieldByName(called));
  }

  /** A field of type BoolValue, absent or false being the same. */
  private static boolean isTrue(DynamicMessage message, String called) {
    return (boolean) field((DynamicMessage) field(message, called), "value");
  }

  /** A request, and whether it came compressed. */
  private record Request(DynamicMessage body, boolean isCompressed) {
    boolean has(String called) {
      Descriptors.FieldDescriptor field = body.getDescriptorForType().findFieldByName(called);
      return field != null && body.hasField(field);
    }

    Object field(String called) {
      return InteropServer.field(body, called);
    }

    int number(String called) {
      return (int) field(called);
    }

    int payloadSize() {
      return ((ByteString) InteropServer.field((DynamicMessage) field("payload"), "body")).size();
    }
  }

  private record RequestMarshaller(Descriptor type) implements MethodDescriptor.Marshaller<Request> {
    @Override
    public InputStream stream(Request request) {
      return request.body.toByteString().newInput();
    }

    /** Only of what came as it is does grpc-java know the length. */
    @Override
    public Request parse(InputStream stream) {
      try {
        return new Request(DynamicMessage.parseFrom(type, stream), !(stream instanceof KnownLength));
      } catch (IOException cause) {
        throw Status.INTERNAL.withCause(cause).asRuntimeException();
      }
    }
  }

  /** Sends the two keys of the cases back, and tells the service who calls. */
  private static final class Echo implements ServerInterceptor {
    @Override
    public <Q, S> ServerCall.Listener<Q> interceptCall(ServerCall<Q, S> call, Metadata came, ServerCallHandler<Q, S> next) {
      ServerCall<Q, S> echoing = new SimpleForwardingServerCall<Q, S>(call) {
        @Override
        public void sendHeaders(Metadata headers) {
          if (came.containsKey(INITIAL_KEY)) headers.put(INITIAL_KEY, came.get(INITIAL_KEY));
          super.sendHeaders(headers);
        }

        @Override
        public void close(Status status, Metadata trailers) {
          if (came.containsKey(TRAILING_KEY)) trailers.put(TRAILING_KEY, came.get(TRAILING_KEY));
          super.close(status, trailers);
        }
      };
      String peer = String.valueOf(call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR));
      return Contexts.interceptCall(Context.current().withValue(PEER, peer), echoing, came, next);
    }
  }
}
