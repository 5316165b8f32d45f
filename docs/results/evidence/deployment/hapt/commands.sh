imuspec fit statistics --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 --out models/statistics
imuspec fit runs/img2imu --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 --out models/img2imu --set pictures.nfft=64 --set pictures.hop=8
imuspec fit runs/cpc --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 --out models/cpc
imuspec fit runs/cpc --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 --out models/tuned --train all --set tuning.epochs=6
imuspec predict hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --model models/statistics --out scores/statistics.csv
imuspec predict hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --model models/img2imu --out scores/img2imu.csv
imuspec predict hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --model models/cpc --out scores/cpc.csv
imuspec predict hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --model models/tuned --out scores/tuned.csv
imuspec export models/img2imu --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --out img2imu.onnx --int8
imuspec export models/tuned --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --out tuned.onnx --int8
imuspec export models/img2imu --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --out img2imu.pte
imuspec export models/tuned --data hapt=../shared/data/datasets/hapt/HAPT_acc.tar.xz,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --out tuned.pte
